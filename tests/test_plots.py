"""The figures as functions of a DataFrame and an Axes: what they draw, how large, and what they leave alone."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.text import Text

from intermezzo.core.errors import UserError
from intermezzo.report import plots, svg
from intermezzo.report.palette import LIGHT, SERIES

NAN = float("nan")
FOREST = pd.DataFrame(
    {
        **{"encoder": "e", "mix": "en+rare", "target": "mean"},
        "languages": ["rare_seen", "rare_unseen", "other", "english"],
        **{"value": [6.1, -0.5, 0.8, 0.2], "low": [-60.0, -2.0, 0.1, NAN], "high": [72.0, 1.0, 1.5, NAN]},
        "n_languages": [12, 1, 30, 1],
    }
)
LANGUAGES = pd.DataFrame(
    {
        **{"encoder": "e", "mix": "en+rare", "target": "qa"},
        "languages": ["rare_seen", "rare_seen", "english"],
        "language": ["sw", "ht", "en"],
        "name": ["Swahili (individual language)", "Haitian Creole of the north", "English"],
        **{"value": [6.0, 2.0, -1.0], "low": [1.0, NAN, -3.0], "high": [11.0, NAN, 1.0]},
        **{"english": [40.0, 41.0, 80.0], "mixed": [46.0, 43.0, 79.0]},
        "per_intermediate": [[5.0, 7.0], [1.0, 3.0], [-1.0, -1.0]],
    }
)
HEATMAP = pd.DataFrame(
    [
        {
            "intermediate": i,
            "mix": m,
            "target": t,
            "metric": "accuracy",
            "kind": kind,
            "value": v,
            "low": low,
            "high": high,
        }
        for i, m, t, kind, v, low, high in [
            ("none", "none", "nli", "score", 40.0, NAN, NAN),
            ("none", "none", "part_of_speech_of_long_name", "score", 50.0, NAN, NAN),
            ("nli", "en", "nli", "difference", 3.0, 1.0, 5.0),
            ("nli", "en", "part_of_speech_of_long_name", "difference", -13.2, -30.0, 3.0),
        ]
    ]
).assign(encoder="e", languages="all")
CURVES = pd.DataFrame(
    [
        {"intermediate": i, "mix": m, "seed": seed, "step": step, "loss": 2.0 / step + seed}
        for i, m in (("none", "none"), ("nli", "en"), ("nli", "en+rare"), ("qa", "en"), ("qa", "en+rare"))
        for seed in (0, 1)
        for step in (1, 500, 1500)
    ]
).assign(encoder="e", phase="target", name="nli")
ALLOCATION = pd.DataFrame(
    {
        **{"mix": "en+rare", "task": "nli", "intermediates": "nli, qa"},
        **{"language": ["en", "sw"], "name": ["English", "Swahili"], "group": ["english", "rare"]},
        **{"examples": [750, 250], "share": [0.75, 0.25], "rows": [750, 100]},
    }
)
COSTS = pd.DataFrame(
    {
        "encoder": "e",
        "phase": ["pretraining", "intermediate", "target", "target"],
        "intermediate": ["", "nli", "none", "nli"],
        "mix": ["", "en+rare", "none", "en+rare"],
        "seconds": [7200.0, 1800.0, 600.0, NAN],
    }
)
PLOTS = {
    plots.plot_forest: FOREST,
    plots.plot_languages: LANGUAGES,
    plots.plot_heatmap: HEATMAP,
    plots.plot_learning_curves: CURVES,
    plots.plot_allocation: ALLOCATION,
    plots.plot_costs: COSTS,
}
LONG = "a_long_name_of_somebody"
each_plot = pytest.mark.parametrize(("plot", "df"), PLOTS.items(), ids=lambda value: getattr(value, "__name__", ""))


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


@pytest.mark.slow
def test_importing_the_plots_changes_no_setting():
    read = "{key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != 'backend'}"
    code = f"import matplotlib, sys; before = {read}; import intermezzo.report.plots\n"
    code += f"assert {read} == before and 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@each_plot
def test_a_plot_draws_into_the_axes_that_it_is_given(plot, df):
    before = dict(matplotlib.rcParams)
    figure, (left, right) = pyplot.subplots(1, 2)
    assert plot(df, right) is right
    assert right.has_data() and not left.has_data() and not pyplot.fignum_exists(figure.number + 1)
    assert plot(df).figure is not figure
    assert dict(matplotlib.rcParams) == before


@each_plot
def test_a_figure_of_its_own_fits_a_paper_with_legible_text_and_nothing_cut_off(plot, df):
    with matplotlib.rc_context({"font.size": 25, "lines.linewidth": 9}):  # a reader's own settings do not leak in
        ax = plot(df)
    figure = ax.figure
    width = plots.PAGE_INCHES if plot is plots.plot_heatmap else plots.COLUMN_INCHES
    assert figure.get_figwidth() == width and figure.get_figheight() <= 9
    assert len(texts(figure)) > 3 and all(7 <= text.get_fontsize() <= 8 for text in texts(figure))
    assert_nothing_is_cut_off(figure)
    assert ax.get_xlabel() or plot is plots.plot_heatmap


def test_long_names_are_not_cut_off():
    drawn = [plots.plot_forest(FOREST.assign(mix=LONG), reference=LONG)]
    drawn += [plots.plot_languages(LANGUAGES.assign(mix=LONG, name=LONG * 3), reference=LONG)]
    drawn += [plots.plot_heatmap(HEATMAP.assign(mix=LONG, intermediate=LONG, target=HEATMAP["target"] + LONG))]
    drawn += [
        plots.plot_learning_curves(CURVES.assign(mix=CURVES["mix"] + LONG, intermediate=CURVES["intermediate"] + LONG))
    ]
    for ax in drawn:
        assert_nothing_is_cut_off(ax.figure)


def assert_nothing_is_cut_off(figure: Figure) -> None:
    figure.draw_without_rendering()
    for text in set(texts(figure)) - hidden_tick_labels(figure):
        box, size = text.get_window_extent(), figure.bbox
        assert box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= size.x1 + 0.5 and box.y1 <= size.y1 + 0.5, text


def hidden_tick_labels(figure: Figure) -> set[Text]:
    """Labels of ticks outside the limits of their axis, which matplotlib keeps but does not draw."""
    hidden: set[Text] = set()
    for axis in [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
        hidden |= {label for tick in ticks for label in (tick.label1, tick.label2)}
    return hidden


def test_a_given_axes_keeps_the_style_of_its_reader():
    with matplotlib.rc_context({"font.size": 25, "ytick.labelsize": 25}):
        ax = plots.plot_costs(COSTS, Figure().subplots())
    assert ax.get_yticklabels()[0].get_fontsize() == 25


@each_plot
def test_wrong_frames_are_one_message(plot, df):
    with pytest.raises(UserError, match=rf"{plot.__name__}: the frame has no column {df.columns[-1]}|no column"):
        plot(df[["encoder" if "encoder" in df else "mix"]])
    with pytest.raises(UserError, match="no lines"):
        plot(df.iloc[:0])
    column = "encoder" if "encoder" in df else "mix"
    with pytest.raises(UserError, match=rf"2 values of '{column}' \(.*choose it: df\[df\['{column}'\] =="):
        plot(pd.concat([df, df.assign(**{column: "another"})]))


def test_forest_shows_values_intervals_and_arrows():
    ax = plots.plot_forest(FOREST, limits=(-10, 10), reference="en")
    marks = [
        line.get_xdata()[0] for line in ax.lines if line.get_marker() in ("o", "s", "D") and len(line.get_xdata()) == 1
    ]
    assert marks == list(FOREST["value"])
    assert {line.get_marker() for line in ax.lines if line.get_marker() in "<>"} == {"<", ">"}  # -60 and 72 are cut
    assert [text.get_text() for text in ax.texts] == [
        *("+6.1 [−60.0, 72.0]", "−0.5 [−2.0, 1.0]", "+0.8 [0.1, 1.5]", "+0.2")  # noqa: RUF001
    ]
    assert ax.get_xlabel() == "difference, points (en+rare − en)"  # noqa: RUF001
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == [
        "rare, seen\n12 languages",
        "rare, unseen\n1 language",
    ]


def test_languages_show_codes_scores_and_single_intermediates():
    ax = plots.plot_languages(LANGUAGES)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["rare, seen", "Swahili (sw)", "Haitian Creole of… (ht)", "English", "English (en)"]
    assert "40.0 → 46.0" in [text.get_text() for text in ax.texts]
    assert [5.0, 7.0] in [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "|"]
    legend = ax.figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [
        "mean over intermediates",
        "one intermediate",
        "95 % interval",
    ]


def test_heat_map_has_numbers_in_bold_where_a_difference_is_shown_after_correction():
    ax = plots.plot_heatmap(HEATMAP.assign(significant=HEATMAP["value"] == 3.0))
    cells = {text.get_text(): text.get_weight() for text in ax.texts}
    assert cells == {"40.0": "normal", "50.0": "normal", "+3.0": "bold", "−13.2": "normal"}  # noqa: RUF001
    assert len(ax.patches) == 2  # scores have no colour
    assert ax.get_ylabel() == "intermediate, mix" and "points" in ax.figure.axes[-1].get_ylabel()


def test_learning_curves_say_what_colour_and_line_style_mean():
    ax = plots.plot_learning_curves(CURVES, mixes=["en", "en+rare"], intermediates=["nli", "qa"])
    curves = [line for line in ax.lines if len(line.get_xdata())]
    assert len(curves) == 10 and list(curves[0].get_ydata()) == [2.0, 2.0 / 500, 2.0 / 1500]
    assert [line.get_color() for line in curves[2:6]] == [SERIES[0]] * 2 + [SERIES[1]] * 2
    assert curves[0].get_color() == LIGHT["muted"] and curves[2].get_linestyle() != curves[6].get_linestyle()
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == [
        *("no intermediate", "mix en", "mix en+rare", "intermediate nli", "intermediate qa")
    ]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("optimizer steps", "training loss")


def test_allocation_and_costs_are_bars():
    ax = plots.plot_allocation(ALLOCATION)
    assert [bar.get_width() for bar in ax.patches] == [750, 250]
    assert [text.get_text() for text in ax.texts] == ["750 (75 %)", "250 (25 %) ×2.5"]  # noqa: RUF001
    ax = plots.plot_costs(COSTS)
    assert [bar.get_width() for bar in ax.patches] == [2.0, 0.5, pytest.approx(1 / 6)]
    assert ax.get_xlabel() == "training time, h"


def test_many_languages_share_the_last_bar():
    many = pd.concat([ALLOCATION.iloc[:1]] + [ALLOCATION.iloc[1:].assign(language=f"l{n}") for n in range(60)])
    ax = plots.plot_allocation(many)
    assert ax.get_yticklabels()[-1].get_text() == "21 others" and ax.patches[-1].get_width() == 21 * 250


@pytest.mark.slow
@each_plot
def test_equal_frames_give_equal_svg_and_pdf(plot, df, tmp_path):
    def drawn(name: str) -> tuple[str, bytes]:
        with plots.style():
            figure = plot(df).figure
            figure.savefig(tmp_path / name, format="pdf", metadata={"CreationDate": None})
        return svg.document([figure, figure], "a title", "words"), (tmp_path / name).read_bytes()

    assert drawn("first") == drawn("second")


def test_svg_for_a_page_takes_its_colours_and_repeats_no_id():
    figure = plots.plot_forest(FOREST).figure
    first, second = (svg.inline(figure, name, "A & B", "words") for name in ("first", "second"))
    root = ElementTree.fromstring(first)
    assert root.attrib["role"] == "img" and root.find("title").text == "A & B" and root.find("desc").text == "words"
    ids = re.findall(r' id="([^"]+)"', first + second)
    assert len(ids) == len(set(ids)) and set(re.findall(r"#([\w-]+)", first)) <= set(ids)
    assert "var(--rare-seen)" in first and not re.search("#[0-9a-f]{6}", first)
    assert "DejaVu" not in first and "</text>" in first


def test_svg_files_are_documents_of_the_figures_one_below_another():
    figures = [plots.plot_forest(FOREST).figure, plots.plot_costs(COSTS).figure]
    root = ElementTree.fromstring(svg.document(figures, "title", "words"))
    height = sum(figure.get_figheight() for figure in figures) * 72
    assert float(root.attrib["height"].removesuffix("pt")) == pytest.approx(height, abs=0.1)
    assert root.find("{*}title").text == "title"
    words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"difference, points (en+rare − English-only)", "training time, h"} <= words  # noqa: RUF001
