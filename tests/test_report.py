"""The report on a small experiment whose figures are worked out by hand, and what a reader's browser makes of it."""

from __future__ import annotations

import base64
import csv
import html
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib import pyplot

from intermezzo.analysis import answer as answers
from intermezzo.analysis import scores
from intermezzo.analysis.design import Design
from intermezzo.analysis.families import Families
from intermezzo.analysis.pairing import Comparisons
from intermezzo.core.artifacts import sha256
from intermezzo.core.errors import UserError
from intermezzo.core.markdown import folded
from intermezzo.core.numerals import duration, interval, short_number, signed
from intermezzo.report import build, palette, plots
from intermezzo.report.captions import CAPTIONS, MOST_LANGUAGES
from intermezzo.report.page import answer, facts, width_class
from intermezzo.report.plots.heatmap import Heatmap, cell_colours, relative_luminance
from intermezzo.report.plots.intervals import difference_limits
from intermezzo.report.results import ExperimentResults
from intermezzo.report.tables import escape_latex, latex, markdown_file

ROOT = Path(__file__).parents[1]
LANGUAGES = ["en", "de", "sw", "yo", "qu"]
FIGURES = {"rare", "heatmap", "languages", "learning", "allocation", "costs", "methods", "shots"}
TABLES = {"heatmap", "baseline", "rare", "languages", "allocation", "costs", "methods", "shots", "checkpoints", "data"}


def design(**changes):
    """Two intermediates and a control, two mixes; two trained targets, a control, retrieval. Seen: sw and yo."""
    mixes = {"en": ["en"], "en+rare": ["en", "sw", "yo"]}
    target = {"task": "nli", "format": "classification", "metrics": ["accuracy"], "languages": LANGUAGES}
    default = {
        "english": "en",
        "english_mix": "en",
        "rare": ["sw", "yo", "qu"],
        "seeds": [0, 1],
        "encoders": ["small", "untrained"],
        "baseline_only": ["untrained"],
        "intermediates": {
            "none": {"tasks": [], "mixes": {"none": []}},
            "nli": {"tasks": ["nli"], "mixes": mixes},
            "qa": {"tasks": ["qa"], "mixes": mixes},
            "nli_shuffled": {"tasks": ["nli"], "mixes": mixes, "control": True},
        },
        "targets": {
            "nli": target | {"training": "nli"},
            "part_of_speech": target | {"task": "pos", "format": "tagging", "training": "part_of_speech"},
            "nli_hypothesis": target | {"control": True, "baseline_only": True, "training": "nli_hypothesis"},
            "pairs": target | {"task": "tatoeba", "format": "retrieval", "languages": LANGUAGES[1:]},
        },
    }
    return default | changes


def value(cell):
    """Points: 40 without intermediate training, 45 with; a mix gives seen languages 6 (nli) or 2 (qa) more."""
    gain = (
        {"nli": 6, "qa": 2}.get(cell.intermediate, 0) if cell.mix == "en+rare" and cell.language in ("sw", "yo") else 0
    )
    return 40 + (5 if cell.mix != "none" else 0) + (cell.seed or 0) + gain


def weights(cell):
    return "-".join(map(str, cell[:5])).encode().hex().ljust(64, "0")[-64:]


def make(folder: Path, spec=None, points=value) -> Path:
    """A folder of results: result files, scores, answer, and models with manifest, log and allocation."""
    spec, folder = spec or design(), folder / "results"
    results = {}
    for cell in Design.read(spec).cells():
        fresh = dict(zip(cell._fields[:6], cell[:6], strict=True)) | {"metrics": {}, "majority": {}, "n": 400}
        fresh |= {"weights_sha256": weights(cell), "data_sha256": cell.language.encode().hex() * 16, "code": "c"}
        result = results.setdefault(cell[:6], fresh | {"spec": {"lr": 1}})
        result["metrics"][cell.metric], result["majority"][cell.metric] = points(cell) / 100, 0.33
    paths = [folder / "eval" / f"{number}.json" for number in range(len(results))]
    (folder / "eval").mkdir(parents=True)
    for path, result in zip(paths, results.values(), strict=True):
        path.write_text(json.dumps(result))
    frame = scores.read(paths, Design.read(spec))
    scores.write(frame, folder / "scores.parquet")
    (folder / "answer.md").write_text(answers.text(Families(Comparisons(frame, Design.read(spec)))))
    for cell in dict.fromkeys(cell[:5] for cell in Design.read(spec).cells()):
        encoder, intermediate, mix, seed, target = cell
        model(folder / "encoders" / encoder, "e" * 64, None)
        if intermediate != "none":
            model(folder / "intermediate" / encoder / intermediate / mix / f"seed{seed}", "1" * 64, "e" * 64, mix)
        if seed is not None and target != "pairs":
            trained = folder / "target" / encoder / intermediate / mix / f"seed{seed}" / target
            model(trained, weights(cell), "1" * 64, "en")
    return folder


def model(folder: Path, sha: str, origin: str | None, mix: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = {f"nli/{code}": code.encode().hex() * 16 for code in ("en", "sw", "yo")[: 3 if mix == "en+rare" else 1]}
    files = {"model.safetensors": sha}
    if mix:
        examples = {"en": (75, 75), "sw": (15, 15), "yo": (10, 5)} if mix == "en+rare" else {"en": (100, 100)}
        lines = [f"nli\t{code}\t0.5\t{n}\t{n}\t{rows}\t1000" for code, (n, rows) in examples.items()]
        header = "task\tlanguage\tweight\tasked\texamples\trows\tsupply"
        (folder / "allocation.tsv").write_text("\n".join([header, *lines]) + "\n")
        files["allocation.tsv"] = sha256(folder / "allocation.tsv")
    manifest = {
        "kind": "x",
        "files": files,
        "weights_sha256": sha,
        "from_sha256": origin,
        "steps": 100,
        "spec": {},
        "data_sha256": data,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    log = [{"run": "x", "step": n, "loss": 9 / n, "tokens": 100 * n, "seconds": n / 10} for n in (10, 50, 100)]
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log))


def report(results: Path, out: Path, spec=None) -> Path:
    build(
        Design.read(spec or design()),
        results / "scores.parquet",
        results,
        out / "report.html",
        out / "figures",
        out / "tables",
    )
    return out


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def output(results, tmp_path_factory):
    return report(results, tmp_path_factory.mktemp("report"))


def rows(output: Path, table: str, **values) -> list[dict[str, str]]:
    with open(output / "tables" / f"{table}.tsv", newline="") as lines:
        table_rows = csv.DictReader(lines, delimiter="\t")
        return [row for row in table_rows if all(row[key] == text for key, text in values.items())]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_every_figure_and_table_in_every_format(output):
    expected = {"report.html"} | {f"figures/{name}.{kind}" for name in FIGURES for kind in ("svg", "pdf")}
    expected |= {f"tables/{name}.{kind}" for name in TABLES for kind in ("tsv", "md", "tex")}
    assert contents(output).keys() == expected
    for name in FIGURES:
        drawing = ElementTree.parse(output / "figures" / f"{name}.svg").getroot()
        assert drawing.find("{*}title").text and drawing.find(".//{*}text") is not None
        pdf = (output / "figures" / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf


@pytest.mark.slow
def test_captions_in_snakemakes_report_are_those_of_the_figures_and_tables(output):
    def caption(name: str) -> str:
        return " ".join((ROOT / "workflow" / "report" / f"{name}.rst").read_text().split())

    assert {path.stem for path in (ROOT / "workflow/report/tables").iterdir()} == TABLES
    assert {path.stem for path in (ROOT / "workflow/report").glob("*.rst")} == FIGURES | {"report", "workflow"}
    assert {name: caption(name) for name in FIGURES} == {name: " ".join(CAPTIONS[name].split()) for name in FIGURES}
    for name in TABLES:
        title = (output / "tables" / f"{name}.md").read_text().partition("\n")[0].strip(" *:.")
        assert caption(f"tables/{name}").startswith(title), name
    rule = (ROOT / "workflow/rules/analyse.smk").read_text()
    listed = {
        kind: set(json.loads(re.search(rf"^{kind} = (.*)$", rule, re.MULTILINE)[1])) for kind in ("FIGURES", "TABLES")
    }
    assert listed == {"FIGURES": FIGURES, "TABLES": TABLES}


@pytest.mark.slow
def test_equal_results_give_equal_bytes(results, output, tmp_path):
    elsewhere = shutil.copytree(results, tmp_path / "elsewhere")
    assert contents(report(elsewhere, tmp_path / "again")) == contents(output)


@pytest.mark.slow
def test_mixes_come_in_the_order_of_the_configuration(tmp_path):
    """On the page and in every table; an intermediate that a mix lacks has no line and no curve in it."""
    languages = {"en": ["en"], "a": ["en", "sw", "yo"], "b": ["en", "sw", "yo"]}
    trained = {"nli": ("en", "a", "b"), "qa": ("en", "a")}
    intermediates = {
        name: {"tasks": [name], "mixes": {mix: languages[mix] for mix in mixes}} for name, mixes in trained.items()
    }
    spec = design(intermediates={"none": {"tasks": [], "mixes": {"none": []}}} | intermediates, mixes=["b", "en", "a"])
    output = report(make(tmp_path, spec, lambda cell: 40 + (cell.seed or 0)), tmp_path / "out", spec)
    for table in TABLES - {"data", "methods", "shots"}:
        mixes = list(dict.fromkeys(row["mix"] for row in rows(output, table) if row["mix"] in languages))
        assert mixes == (["en", "b", "a"] if table not in ("rare", "languages") else ["b", "a"]), table
        assert not [row for row in rows(output, table) if row.get("intermediate") == "qa" and row["mix"] == "b"]
    page = (output / "report.html").read_text()
    headings = re.findall(r"(?:<h\d[^>]*>|<summary>)[^<]*\b([ab]) against en, encoder small", page)
    assert headings and headings == ["b", "a"] * (len(headings) // 2)


class _Page(HTMLParser):
    """Everything on a page that could load something, and what it has for those who cannot see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads, self.links, self.ids, self.tags, self.unnamed = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [values[name] for name in ("src", "srcset", "data", "xlink:href", "action") if name in values]
        (self.links if tag in ("a", "use") else self.loads).extend([values["href"]] if "href" in values else [])
        if tag == "svg" and not (values.get("role") == "img" and values.get("aria-labelledby")):
            self.unnamed.append(values)
        if tag == "th" and "scope" not in values:
            self.unnamed.append(values)


@pytest.mark.slow
def test_page_loads_nothing_and_is_accessible(output):
    text = (output / "report.html").read_text()
    page = _Page(text)
    assert page.loads == ["data:,"] and "iframe" not in page.tags  # its scripts are its own
    assert not re.search(r"@import|url\((?!#)|https?://", text)
    assert all(link.startswith(("#", "data:text/csv")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids) and not page.unnamed
    labels = {name for names in re.findall(r'aria-labelledby="([^"]*)"', text) for name in names.split()}
    assert labels <= set(page.ids)


@pytest.mark.slow
def test_page_begins_with_question_and_answer(results, output):
    text = html.unescape(re.sub(r"<[^>]+>", "", (output / "report.html").read_text().partition("<body>")[2]))
    verdict = text.index("in zero-shot transfer to rare languages, en+rare against en: ")
    question = text.index("fixed in the configuration: does intermediate training on en+rare")
    assert verdict < question < min(text.index(CAPTIONS[name]) for name in FIGURES)
    assert "Limitations" in text


@pytest.mark.slow
def test_differences_are_those_worked_out_by_hand(output):
    seen = rows(output, "rare", encoder="small", mix="en+rare", target="mean", languages="rare_seen")[0]
    assert (seen["value"], seen["n_languages"], seen["n_seeds"]) == ("3.3", "2", "2")  # transfer: (6 + 2 + 2) / 3
    unseen = rows(output, "rare", target="nli", languages="rare_unseen")[0]
    assert unseen["value"] == "0.0"
    swahili = rows(output, "languages", target="part_of_speech", language="sw")[0]
    assert [swahili[key] for key in ("name", "english", "mixed", "value")] == ["Swahili", "45.5", "49.5", "4.0"]
    cell = rows(output, "baseline", languages="rare", intermediate="nli", mix="en+rare", target="nli")[0]
    assert (cell["value"], cell["kind"]) == ("9.0", "difference")  # 5 + (6 + 6 + 0) / 3
    line = rows(output, "heatmap", languages="all", intermediate="none")[0]
    assert [line["nli (accuracy)"], line["pairs (accuracy)"], line["mean"]] == ["40.5", "40.0", "40.3"]


@pytest.mark.slow
def test_controls_are_marked_and_in_no_mean(output):
    shuffled = rows(output, "baseline", intermediate="nli_shuffled", target="nli")
    assert shuffled and all(row["control"] == "yes" for row in shuffled)
    assert not rows(output, "languages", target="nli_hypothesis")
    assert "untrained" not in {row["encoder"] for row in rows(output, "rare")}


@pytest.mark.slow
def test_allocation_and_costs(output):
    block = rows(output, "allocation", mix="en+rare")
    assert [(row["language"], row["examples"], row["rows"]) for row in block] == [
        *(("en", "75", "75"), ("sw", "15", "15"), ("yo", "10", "5"))
    ]
    assert {row["intermediates"] for row in block} == {"nli, nli_shuffled, qa"}  # the same block, shown once
    cost = rows(output, "costs", encoder="small", phase="intermediate", intermediate="nli", mix="en+rare")[0]
    expected = {"models": "2", "examples": "200", "steps": "200", "tokens": "20000", "seconds": "20.0"}
    assert {key: cost[key] for key in expected} == expected
    assert "10 (10 %) ×2" in (output / "figures" / "allocation.svg").read_text()  # noqa: RUF001


@pytest.mark.slow
def test_tables_can_be_plotted_again(output):
    """What a notebook does: a table of the report, one panel's lines, a figure."""
    tables = {name: pd.read_csv(output / "tables" / f"{name}.tsv", sep="\t") for name in TABLES}
    of_target = [tables[name].query("encoder == 'small' and target == 'nli'") for name in ("rare", "languages")]
    drawn = [plots.plot_forest(of_target[0]), plots.plot_languages(of_target[1])]
    drawn.append(plots.plot_heatmap(tables["baseline"].query("encoder == 'small' and languages == 'all'")))
    drawn.append(plots.plot_allocation(tables["allocation"].query("mix == 'en+rare'")))
    drawn.append(plots.plot_costs(tables["costs"].query("encoder == 'small'")))
    controls = [label.get_text() for label in drawn[2].get_yticklabels() if "control" in label.get_text()]
    assert controls == ["nli_shuffled, en (control)", "nli_shuffled, en+rare (control)"]
    for ax in drawn:
        pyplot.close(ax.figure)


@pytest.mark.slow
def test_provenance_reaches_every_checkpoint(results, output):
    frame, page = pq.read_table(results / "scores.parquet").to_pandas(), (output / "report.html").read_text()
    assert {row["weights_sha256"] for row in rows(output, "checkpoints")} == set(frame["weights_sha256"])
    trained = rows(output, "checkpoints", intermediate="nli", mix="en", seed="0", target="nli")[0]
    assert trained["from_sha256"] == "1" * 64
    assert all(f'title="{sha}"' in page for sha in {*frame["weights_sha256"], *frame["data_sha256"]})
    assert {row["data_sha256"] for row in rows(output, "data", use="training", language="sw")} == {"7377" * 16}


@pytest.mark.slow
def test_hundreds_of_languages_stay_readable(tmp_path):
    codes = ["en", *(f"l{number:03d}" for number in range(200))]
    target = {"task": "nli", "format": "classification", "metrics": ["accuracy"], "languages": codes}
    spec = design(rare=codes[1:100], targets={"t0": target}, seeds=[0])
    spec |= {"encoders": ["small"], "baseline_only": []}
    output = report(make(tmp_path, spec), tmp_path, spec)
    assert len(rows(output, "languages", target="t0")) == 201
    panel = re.search(r"<svg[^>]*languages0-0-t.*?</svg>", (output / "report.html").read_text(), re.DOTALL)[0]
    assert panel.count("→") == MOST_LANGUAGES
    assert (output / "report.html").stat().st_size < 1_000_000


@pytest.mark.parametrize(("targets", "widths"), [(1, [1]), (15, [15]), (16, [8, 8]), (31, [10, 10, 11])])
def test_a_heat_map_of_many_targets_is_several_that_fit(targets, widths):
    columns = [(f"t{number}", "accuracy", False) for number in range(targets)]
    parts = Heatmap(columns, [("nli", "en", False)], {}).parts(15)
    assert [len(part.columns) for part in parts] == widths
    assert [column for part in parts for column in part.columns] == columns and parts[0].rows == parts[-1].rows


@pytest.mark.slow
def test_experiment_without_a_mix_says_what_it_lacks(tmp_path):
    intermediates = {"none": {"tasks": [], "mixes": {"none": []}}}
    spec = design(intermediates=intermediates, english_mix=None)
    folder = make(tmp_path, spec)
    shutil.rmtree(folder / "target")
    output = report(folder, tmp_path, spec)
    assert "No mix to set against" in (output / "report.html").read_text()
    assert contents(output).keys() >= {f"figures/{name}.svg" for name in FIGURES}
    assert rows(output, "rare") == []


def test_the_page_counts_what_there_is():
    spec = design(intermediates={"nli": {"tasks": ["nli"], "mixes": {"en": ["en"]}}}, seeds=[0])  # without a baseline
    assert facts(SimpleNamespace(design=Design.read(spec))) == [
        ("1", "encoder"),
        ("1", "intermediate"),
        ("1", "mix"),
        ("3", "targets"),
        ("5", "languages"),
        ("3", "of them rare"),
        ("1", "seed"),
    ]


def test_names_and_answers_cannot_break_the_page(tmp_path):
    lead, sections = answer(
        "# A & B\n\n<script>x</script>\n\n<i>y</i>\n\n## `m` against\n\n| a |\n|---|\n| <b> |\n\n[x](javascript:1)\n"
    )
    assert "<script>" not in lead.html and "&lt;script&gt;" in lead.html and lead.heading == "A &amp; B"
    assert "<i>" not in lead.details and "&lt;i&gt;" in lead.details
    assert "<b>" not in sections[0].html and 'href="javascript' not in sections[0].html
    assert sections[0].heading == "<code>m</code> against"


def test_statistics_are_folded_but_for_what_they_cannot_say():
    parts = [f"## {name}\n\ntext\n" for name in ("`a` against", "b", "cannot")]
    lead, sections = answer("# x\n\n- verdict\n- another\n\nquestion\n\n" + "".join(parts))
    assert [section.folded for section in sections] == [True, True, False]
    assert "another" in lead.html and "question" in lead.details and "question" not in lead.html


def test_what_the_answer_folds_is_folded():
    rows = "| a |\n|---|\n" + "| `x` <b> |\n" * 9
    folded = f"<details><summary>Rows: 9</summary>\n\n{rows}\n</details>"
    _, (section,) = answer(f"# x\n\nwords\n\n## y\n\n{folded}\n\n{folded}\n\n{rows}\n\n<details>\n")
    assert section.html.count("<details>") == section.html.count("</details>") == 3
    assert "<summary>Rows: 9</summary>" in section.html and "<summary>Table of 9 rows</summary>" in section.html
    assert "&lt;details&gt;" in section.html and "<b>" not in section.html


def test_cells_know_their_column_and_codes_their_names():
    table = "| language | difference |\n|---|---|\n| sw | +1 |\n\n(sw, yo) and (accuracy)\n"
    _, (section,) = answer(f"# x\n\nv\n\n## a\n\n{table}", {"sw": "Swahili", "yo": "Yoruba"})
    assert '<th scope="row">Swahili (sw)</th><td data-label="difference">+1</td>' in section.html
    assert '(<abbr title="Swahili">sw</abbr>, <abbr title="Yoruba">yo</abbr>) and (accuracy)' in section.html
    assert [width_class(columns) for columns in (2, 6, 12, 30)] == ["w1", "w2", "w3", "w4"]


@pytest.mark.slow
def test_the_data_of_a_figure_can_be_saved(output):
    links = dict(re.findall(r'download="(\w+).csv" href="data:[^,]*,([^"]*)"', (output / "report.html").read_text()))
    assert links.keys() == FIGURES - {"shots"}, "no target has shots here"
    lines = list(csv.DictReader(base64.b64decode(links["languages"]).decode().splitlines()))
    assert {line["name"] for line in lines if line["language"] == "sw"} == {"Swahili"}


def test_what_the_answer_folds_is_folded_once():
    rows = "| a |\n|---|\n" + "| `x` <b> |\n" * 9
    lead, (section,) = answer(f"# x\n\nwords\n\n## y\n\n{folded('Rows: 9', rows)}\n\nafter\n\n{rows}\n\n<details>\n")
    assert "details" not in lead.html and "after" in section.html and "&lt;details&gt;" in section.html
    (both,) = answer(f"# x\n\n## y\n\n{folded('A', rows)}\n\nbetween\n\n{folded('B', rows)}\n")[1]
    assert re.findall(r"<summary>(.)</summary>|(between)", both.html) == [("A", ""), ("", "between"), ("B", "")]
    assert section.html.count("<details>") == section.html.count("</details>") == 2  # the second one is the page's own
    assert (
        "<details><summary>Rows: 9</summary>" in section.html and "<summary>Table of 9 rows</summary>" in section.html
    )
    assert section.html.count("<b>") == 0 and section.html.count("<table ") == 2


def test_tables_are_escaped():
    assert escape_latex(r"a_b & 50% {x} ~^\#$") == (
        r"a\_b \& 50\% \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}\#\$"
    )
    assert "| a\\|b |" in markdown_file("c", ["h"], [["a|b"]], [False])
    short, long = (latex("c", "l", ["x_y", "n"], [["a", "-1.5"]] * n, [False, True]) for n in (1, 60))
    assert r"\begin{tabular}{lr}" in short and r"a & $-$1.5 \\" in short
    assert r"\begin{longtable}{lr}" in long
    for text in (short, long):  # rules and header once, in this order
        lines = text.splitlines()
        order = [lines.index(line) for line in (r"\toprule", r"x\_y & n \\", r"\midrule", r"\bottomrule")]
        assert order == sorted(order) and all(lines.count(lines[number]) == 1 for number in order)


@pytest.mark.slow
def test_latex_tables_compile(output, tmp_path):
    """Environments nest, and each row has a cell for each column; where there is a TeX, it compiles all tables."""
    tables = {path.stem: path.read_text() for path in sorted((output / "tables").glob("*.tex"))}
    tables["hard"] = latex(r"100 % <of> \{it}_", "hard", ["a_b", "#"], [["[x]", "*"], ["*y", "ɛ"]], [False, False])
    assert tables.keys() == TABLES | {"hard"}
    for name, text in tables.items():
        opened: list[str] = []
        for kind, environment in re.findall(r"\\(begin|end)\{(\w+)\}", text):
            if kind == "begin":
                opened.append(environment)
            else:
                assert opened.pop() == environment, name
        assert not opened and re.sub(r"\\.", "", text).count("{") == re.sub(r"\\.", "", text).count("}"), name
        columns = len(re.search(r"\\begin\{(?:tabular|longtable)\}\{(\w+)\}", text)[1])
        lines = [line for line in text.splitlines() if line.endswith(r" \\") and not line.startswith(r"\label")]
        assert lines and {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {columns}, name
        assert not [line for line in lines if line.startswith(("[", "*"))], "`\\\\` above would take it for its option"
    if engine := next(filter(None, map(shutil.which, ("tectonic", "xelatex", "lualatex"))), None):
        head = r"\documentclass{article}\usepackage{booktabs,longtable}\begin{document}"
        (tmp_path / "all.tex").write_text("\n".join([head, *tables.values(), r"\end{document}"]))
        options = [] if engine.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
        done = subprocess.run([engine, *options, "all.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and (tmp_path / "all.pdf").is_file(), done.stdout[-2000:]


@pytest.mark.slow
def test_resumed_and_staged_trainings_are_counted_whole(tmp_path):
    folder = make(tmp_path)
    records = [
        ("a", 10, 3.0, 100, 10.0),
        ("a", 20, 2.9, 200, 20.0),
        ("a", 15, 2.8, 150, 5.0),
        ("a", 30, 2.0, 300, 15.0),
    ]
    records += [("b", 5, 1.0, 50, 4.0)]
    names = ("run", "step", "loss", "tokens", "seconds")
    lines = [json.dumps(dict(zip(names, record, strict=True))) for record in records]
    (folder / "encoders" / "small" / "log.jsonl").write_text("\n".join(lines))
    trained = ExperimentResults(Design.read(design()), folder / "scores.parquet", folder).models[0]
    assert trained.curve == [(10, 3.0), (15, 2.8), (30, 2.0), (35, 1.0)]
    assert trained.tokens == 350 and trained.seconds == 10.0 + 15.0 + 4.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (lambda folder: (folder / "scores.parquet").unlink(), "scores.parquet: no such file"),
        (lambda folder: (folder / "scores.parquet").write_text("x"), "not a table of scores"),
        (lambda folder: (folder / "answer.md").unlink(), "answer.md: no such file"),
        (lambda folder: (folder / "encoders/small/log.jsonl").write_text("{"), "not a training log"),
        (lambda folder: (folder / "encoders/small/manifest.json").write_text("{"), "not valid JSON"),
        (lambda folder: _cut(folder / "scores.parquet", drop=3), "3 are missing"),
        (lambda folder: _cut(folder / "scores.parquet", spoil=True), "1 values are not numbers"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(results, tmp_path, breaking, message):
    folder = shutil.copytree(results, tmp_path / "results")
    breaking(folder)
    with pytest.raises(UserError, match=message):
        report(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _cut(path: Path, drop: int = 0, spoil: bool = False) -> None:
    table = pq.read_table(path).slice(drop)
    if spoil:
        values = [math.nan, *table["value"].to_pylist()[1:]]
        table = table.set_column(table.schema.get_field_index("value"), "value", pa.array(values))
    pq.write_table(table, path)


def test_numbers_and_scales():
    assert (signed(-0.04), signed(2.25), signed(-3.0)) == ("0.0", "+2.2", "−3.0")  # noqa: RUF001
    assert (short_number(870), short_number(4510), short_number(2_650_000)) == ("870", "4.51k", "2.65M")
    assert (short_number(999_499), short_number(999_600), short_number(999.7)) == ("999k", "1M", "1k")
    assert (duration(45), duration(192), duration(7300)) == ("45 s", "3.2 min", "2.0 h")
    assert interval(2.05, -0.04, 4.5, minus="-") == "+2.0 [0.0, 4.5]" and interval(-1, math.nan, math.nan) == "−1.0"  # noqa: RUF001
    low, high = difference_limits(pd.DataFrame({"value": [2.0, -1.0], "low": [-80.0, -1.5], "high": [80.0, 0.0]}))
    assert -5 < low < -2.9 and 2.9 < high < 5  # intervals get a bounded room


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK])
def test_words_have_contrast(colours):
    """WCAG 2, level AA: 4.5 to 1 for text on the page."""
    assert colours.keys() == palette.LIGHT.keys()
    for name in set(colours) - {"page", "grid", "axis"}:
        assert _contrast(colours[name], colours["page"]) >= 4.5, name


def test_numbers_have_contrast_on_every_colour_of_the_heat_map():
    for step in range(-200, 201):
        assert _contrast(*cell_colours(step / 200)) >= 4.5, step
    lower, higher = (cell_colours(share)[0] for share in (-1, 1))
    assert _contrast(lower, "#ffffff") > 10 and _contrast(higher, "#ffffff") > 10 and lower != higher


def _contrast(first: str, second: str) -> float:
    dark, bright = sorted((relative_luminance(first), relative_luminance(second)))
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_by_hand():
    """The examples of WCAG: black on white 21 to 1, and #767676, the lightest grey that passes on white."""
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


WIDTHS = (390, 768, 1440)
MEASURE = """
<script>
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const over = ([red, green, blue, alpha = 1], below) =>
  [red, green, blue].map((part, n) => part * alpha + below[n] * (1 - alpha));
const background = element => {  // of the nearest ancestors that have one, mixed
  if (!element) return [255, 255, 255];
  const colour = channels(getComputedStyle(element).backgroundColor);
  return (colour[3] ?? 1) == 1 ? colour.slice(0, 3) : over(colour, background(element.parentElement));
};
const luminance = colour => {
  const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const [red, green, blue] = colour.map(part => linear(part / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const contrast = element => {
  const style = getComputedStyle(element), below = background(element);
  const ink = channels(element.ownerSVGElement ? style.fill : style.color);
  const [low, high] = [luminance(over(ink, below)), luminance(below)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
addEventListener("load", () => {
  const measures = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, width = frame.clientWidth, wide = [];
    const box = element => element.getBoundingClientRect();
    const size = element => [box(element).width, box(element).height, box(element).right];
    const verdict = box(page.querySelector(".lead li, .lead p")).bottom;
    for (const fold of page.querySelectorAll("details")) fold.open = true;
    for (const text of page.querySelectorAll("svg text")) {
      const inside = box(text), whole = box(text.ownerSVGElement);
      if (inside.left < whole.left - 1 || inside.right > whole.right + 1) wide.push(text.textContent);
    }
    for (const cell of page.querySelectorAll("table, th, td")) {
      const shown = getComputedStyle(cell).display != "none";
      if (shown && (box(cell).right > width || cell.scrollWidth > cell.clientWidth + 1)) wide.push(cell.textContent);
    }
    const faint = [], outside = [];
    let words_measured = 0;
    for (const element of page.querySelectorAll("body, body *:not(script):not(style)")) {
      if (box(element).right > width + 1) outside.push(element.outerHTML.slice(0, 100));
      const words = [...element.childNodes].filter(node => node.nodeType == 3 && node.textContent.trim());
      if (!words.length || !box(element).width) continue;
      words_measured += 1;
      if (contrast(element) < 4.5) faint.push(words[0].textContent);
    }
    const input = page.querySelector("#find");
    const type = word => { input.value = word; input.dispatchEvent(new Event("input")); };
    const rows = () => [...page.querySelectorAll("#languages-table tbody tr:not(.away)")]
      .map(row => row.cells[0].textContent);
    type("swah");
    const found = rows();
    type("");
    measures[frame.name] = {
      width: width,
      page: getComputedStyle(page.body).backgroundColor,
      words: words_measured,
      faint: faint,
      outside: outside,
      overflow: page.documentElement.scrollWidth - width,
      verdict: verdict,
      found: found,
      all: rows().length,
      figures: [...page.querySelectorAll("figure")].map(element => size(element)),
      drawings: [...page.querySelectorAll("figure svg")].map(element => size(element)),
      sections: [...page.querySelectorAll("main > section")].map(element => element.id),
      wide: wide,
    };
  }
  document.body.innerHTML = "<pre id=measured></pre>";
  document.getElementById("measured").textContent = JSON.stringify(measures);
});
</script>
"""


@pytest.mark.slow
def test_browser_shows_the_page_whole_on_phone_tablet_and_desk(output, tmp_path):
    """Frames of these widths hold the page, light and dark. A script measures what is drawn and its contrast."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is installed (Debian: apt-get install chromium)")
    light = (output / "report.html").read_text()
    dark = light.replace("@media (prefers-color-scheme: dark)", "@media all")
    assert dark != light
    frames = [
        f'<iframe name="{name}{width}" width="{width}" height="900" style="border:0" srcdoc="{page}"></iframe>'
        for name, page in (("light", html.escape(light)), ("dark", html.escape(dark)))
        for width in WIDTHS
    ]
    (tmp_path / "frames.html").write_text(f"<!doctype html><meta charset=utf-8>{''.join(frames)}{MEASURE}")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=5400,1000", "--virtual-time-budget=10000"]
    command = [browser, *options, "--dump-dom", (tmp_path / "frames.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    measured = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    assert measured, done.stderr[-2000:]
    assert not [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    frames_measured = json.loads(html.unescape(measured[1]))
    assert len({measures["page"] for measures in frames_measured.values()}) == 2, "light and dark"
    for width, measures in frames_measured.items():
        assert measures["words"] > 500 and measures["faint"] == [] and measures["outside"] == [], width
        assert measures["overflow"] <= 0, width
        assert 0 < measures["verdict"] < 700, "it is on the first screen"
        assert measures["found"] == ["sw"] and measures["all"] > 1
        assert measures["sections"] == ["answer", *CAPTIONS, "languages-table", "provenance"]
        assert len(measures["figures"]) >= 1 + len(FIGURES) and len(measures["drawings"]) > 10
        for wide, high, right in [*measures["figures"], *measures["drawings"]]:
            assert wide > 100 and high > 20 and right <= measures["width"] + 0.5, width
        assert measures["wide"] == [], width
