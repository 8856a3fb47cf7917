"""Colours by role, for light and dark pages, after Okabe and Ito (2008): hues that colour-blind readers can tell apart.

Colour never stands alone: groups of languages also differ in the shape of their mark, mixes are named beside their
line, and every cell of a heatmap holds its number.
"""

from __future__ import annotations

LIGHT = {
    "page": "#ffffff",
    "panel": "#ffffff",
    "ink": "#1c2430",
    "muted": "#5b6674",
    "grid": "#e4e7eb",
    "axis": "#8b95a1",
    "rare_seen": "#c94f00",
    "rare_unseen": "#8f6400",
    "other": "#0068a8",
    "english": "#5b6674",
    "rare": "#c94f00",
    "all": "#1c2430",
    "zero": "#f5f5f3",
    "higher": "#1765ad",
    "lower": "#b8500a",
    "baseline": "#6c7682",
    "series0": "#0068a8",
    "series1": "#c94f00",
    "series2": "#008060",
    "series3": "#a8508a",
    "series4": "#8f6400",
    "series5": "#1c2430",
}
DARK = {
    "page": "#12161c",
    "panel": "#181d25",
    "ink": "#e8ebef",
    "muted": "#a3adb9",
    "grid": "#2b323c",
    "axis": "#6c7784",
    "rare_seen": "#ff9455",
    "rare_unseen": "#e8bd55",
    "other": "#63b3ee",
    "english": "#a3adb9",
    "rare": "#ff9455",
    "all": "#e8ebef",
    "zero": "#232a33",
    "higher": "#2f80cc",
    "lower": "#c4621c",
    "baseline": "#8f9aa7",
    "series0": "#63b3ee",
    "series1": "#ff9455",
    "series2": "#3fcaa0",
    "series3": "#e394c6",
    "series4": "#e8bd55",
    "series5": "#e8ebef",
}
SERIES = 6
"""Number of colours for mixes; more of them repeat the colours with dashes."""
SHAPES = {"rare_seen": "disc", "rare_unseen": "ring", "other": "square", "english": "diamond"}


def css(colours: dict[str, str]) -> str:
    """The colours as custom properties of a style sheet."""
    return "".join(f"--{name.replace('_', '-')}:{value};" for name, value in colours.items())


def mixed(role: str, share: float) -> str:
    """`share` (0..1) of a light colour over the neutral centre of the diverging scale, as a hexadecimal colour."""
    one, zero = _rgb(LIGHT[role]), _rgb(LIGHT["zero"])
    return "#" + "".join(f"{round(z + (o - z) * share):02x}" for o, z in zip(one, zero, strict=True))


def _rgb(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
