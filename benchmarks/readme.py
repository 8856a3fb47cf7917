"""What the README shows of the default experiment: a picture of its report, its verdicts and a table.

    python benchmarks/readme.py results [--picture]

reads a finished run of config/config.yaml. Verdicts and scores go to docs/default_run.json, from which the README's
table is made (a test compares the two); --picture takes docs/images/report.png with a headless Chromium on the path.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
README, STORED = ROOT / "README.md", ROOT / "docs" / "default_run.json"
PICTURE = ROOT / "docs" / "images" / "report.png"
MARKS = ("<!-- results: make readme -->", "<!-- end of results -->")
SIZE = "1280,640"


def read(results: Path) -> dict[str, Any]:
    """Verdicts and mean scores of rare languages in points, from the answer and the summary of a run."""
    with (results / "summary.tsv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["language_group"] == "rare"]
    metrics: dict[str, str] = {}
    for row in rows:  # a target's main metric comes first
        metrics.setdefault(row["target"], row["metric"])
    names = ("intermediate", "mix", "target", "metric", "n_languages", "n_seeds", "mean", "majority")
    cells = [{key: row[key] for key in names} for row in rows if row["metric"] == metrics[row["target"]]]
    lead = (results / "answer.md").read_text(encoding="utf-8").split("\n\n")[1]
    return {"verdicts": lead.splitlines(), "rare": cells}


def render(stored: dict[str, Any]) -> str:
    """The README's part: the verdicts as they stand in answer.md, and a row per target."""
    cells = stored["rare"]
    models = list(dict.fromkeys((cell["intermediate"], cell["mix"]) for cell in cells))
    heads = ["baseline" if name == "none" else f"{name}, `{mix}`" for name, mix in models]
    lines = ["| target | guess | " + " | ".join(heads) + " |", "|---|" + "--:|" * (1 + len(models))]
    for target in dict.fromkeys(cell["target"] for cell in cells):
        of = {(cell["intermediate"], cell["mix"]): cell for cell in cells if cell["target"] == target}
        first = next(iter(of.values()))
        values = [_points(first["majority"]), *(_points(of[key]["mean"]) if key in of else "" for key in models)]
        lines.append(f"| {target} ({first['metric']}) | " + " | ".join(values) + " |")
    first = cells[0]
    caption = f"Means over {first['n_languages']} rare languages and {first['n_seeds']} seeds, in points:"
    return "\n".join([*stored["verdicts"], "", caption, "", *lines])


def _points(text: str) -> str:
    return f"{float(text):.1f}" if text else ""


def part(readme: str) -> str:
    """What stands between the marks of the README."""
    return readme.partition(MARKS[0])[2].partition(MARKS[1])[0].strip()


def take_picture(report: Path) -> None:
    """A picture of the first screen of a report. Ends the program where there is no Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        sys.exit(f"error: no Chromium on the path ({', '.join(names)})")
    PICTURE.parent.mkdir(exist_ok=True)
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1.25"]
    command = [browser, *options, f"--window-size={SIZE}", f"--screenshot={PICTURE}", report.resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the results")
    parser.add_argument("--picture", action="store_true", help="take docs/images/report.png, too")
    options = parser.parse_args()
    stored = read(options.results)
    STORED.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    before, _, rest = README.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    README.write_text(f"{before}{MARKS[0]}\n{render(stored)}\n{MARKS[1]}{after}", encoding="utf-8")
    if options.picture:
        take_picture(options.results / "report.html")


if __name__ == "__main__":
    main()
