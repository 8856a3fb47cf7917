"""Does the report of a large grid stay small, and how long does a browser take to open it?

    python benchmarks/report.py FOLDER

writes made-up results of 50 languages, 15 targets, 7 intermediates, 2 mixes and 3 seeds below FOLDER (minutes), renders
the page and opens it in a headless Chromium. Wall time includes the start of the browser, which an empty page shows.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from intermezzo.analysis.design import Cell, Design  # noqa: E402
from intermezzo.languages import table  # noqa: E402
from intermezzo.report import figures, page  # noqa: E402
from intermezzo.report.frames import Frames  # noqa: E402
from intermezzo.report.results import ExperimentResults  # noqa: E402
from test_report import design, make  # noqa: E402

_RUNS = 5


def large_design() -> dict[str, Any]:
    """50 languages, 30 of them rare and 10 of these in the mix; 15 targets, 7 intermediates, 2 mixes, 3 seeds."""
    codes = ["en", *[code for code in table("hub") if code.isalpha() and code != "en"][:49]]
    rare = codes[20:]
    mixes = {"en": ["en"], "en+rare": ["en", *rare[:10]]}
    intermediates = {f"task{number}": {"tasks": [f"task{number}"], "mixes": mixes} for number in range(7)}
    targets = {
        f"target{number}": {
            "task": f"target{number}",
            "training": f"target{number}",
            "format": ("classification", "tagging")[number % 2],
            "metrics": ["accuracy"],
            "languages": codes,
        }
        for number in range(15)
    }
    none = {"none": {"tasks": [], "mixes": {"none": []}}}
    changes = {"rare": rare, "seeds": [0, 1, 2], "encoders": ["xlmr"], "baseline_only": []}
    return design(**changes, intermediates=none | intermediates, targets=targets)


def points(cell: Cell) -> float:
    """A made-up score that differs by cell and language."""
    gain = 5 * (cell.mix != "none") + 2 * (cell.mix == "en+rare")
    return 40 + gain + zlib.crc32(repr(cell).encode()) % 1000 / 200 + zlib.crc32(cell.language.encode()) % 30


def seconds_to_open(file: Path, browser: str, profile: Path) -> float:
    """Wall seconds from the start of the browser to a picture of the first screen; the median of some runs."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1440,900"]
    options += [f"--user-data-dir={profile}", f"--screenshot={profile.parent / 'page.png'}"]
    times = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        subprocess.run([browser, *options, file.as_uri()], check=True, capture_output=True, timeout=120)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write; results that are there are used again")
    folder = parser.parse_args().folder.resolve()
    spec = large_design()
    if not (folder / "results" / "answer.md").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, spec, points)
    results = ExperimentResults(Design.read(spec), folder / "results" / "scores.parquet", folder / "results")
    frames = Frames.of(results)
    file, empty = folder / "report.html", folder / "empty.html"
    file.write_text(page.render(results, frames, figures.figures(results, frames)), encoding="utf-8")
    empty.write_text("<!doctype html><p>empty")
    print(f"{file.stat().st_size / 1e6:.2f} MB, {file.read_text(encoding='utf-8').count('<') // 2:,} elements")
    if browser := next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None):
        whole, start = (seconds_to_open(path, browser, folder / "profile") for path in (file, empty))
        print(f"opened in {whole:.1f} s, of which the start of the browser is {start:.1f} s")


if __name__ == "__main__":
    main()
