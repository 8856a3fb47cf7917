"""Colours by role, for light and dark pages, after Okabe and Ito (2008) and Tol (2021): safe for colour-blind readers.

A hue has one meaning: orange, ochre, blue and grey are groups of languages; `series` are mixes; purple and green are
the ends of the heat map (`plots.heatmap`). Colour never stands alone: groups also differ in the shape of their mark,
mixes are named in a legend, and every cell of a heat map holds its number. Every colour of LIGHT is unique, so that a
drawing made with it can follow the page into the dark (`svg.inline`).
"""

from __future__ import annotations

LIGHT = {
    "page": "#ffffff",
    "ink": "#1c2430",
    "muted": "#5b6674",
    "grid": "#e4e7eb",
    "axis": "#8b95a1",
    "rare_seen": "#c94f00",
    "rare_unseen": "#8f6400",
    "other": "#0068a8",
    "series0": "#332288",
    "series1": "#b3316b",
    "series2": "#117c6f",
    "series3": "#6f6e08",
    "series4": "#8a4bb5",
    "series5": "#3d4b5c",
    "series6": "#7a3b10",
    "series7": "#2e7d1f",
    "series8": "#b01c1c",
}
DARK = {
    "page": "#12161c",
    "ink": "#e8ebef",
    "muted": "#a3adb9",
    "grid": "#2b323c",
    "axis": "#6c7784",
    "rare_seen": "#ff9455",
    "rare_unseen": "#e8bd55",
    "other": "#63b3ee",
    "series0": "#a79bf5",
    "series1": "#f48fb6",
    "series2": "#4fcbbb",
    "series3": "#c9c84e",
    "series4": "#d3a3f2",
    "series5": "#c3ccd8",
    "series6": "#d9a27a",
    "series7": "#8fd67f",
    "series8": "#ff8a80",
}
SERIES = [colour for role, colour in LIGHT.items() if role.startswith("series")]
"""Colours of mixes, in their order; a tenth mix has the first again."""
GROUP_COLOURS = {group: LIGHT[group] for group in ("rare_seen", "rare_unseen", "other")} | {
    "english": LIGHT["muted"],
    "rare": LIGHT["ink"],
}
GROUP_MARKERS = {"rare": "^", "rare_seen": "o", "rare_unseen": "o", "other": "s", "english": "D"}
"""matplotlib's marker of a group of languages; that of `rare_unseen` is hollow."""


def css(colours: dict[str, str]) -> str:
    """The colours as custom properties of a style sheet."""
    return "".join(f"--{name.replace('_', '-')}:{value};" for name, value in colours.items())
