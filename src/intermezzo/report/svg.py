"""matplotlib figures as SVG text: for a page, whose colours and font they take, and as files of several figures.

matplotlib's SVG has no description for screen readers, fixed colours and ids that repeat from figure to figure. The
functions here change exactly that in its text. The figures must be drawn with `plots.style`: its colours are those of
`palette.LIGHT`, and its text is text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape

from matplotlib.figure import Figure

from intermezzo.report.palette import LIGHT
from intermezzo.report.plots.style import style

_UNDATED = {"Date": None, "Creator": None, "Format": None, "Type": None}
_VARIABLES = {colour: f"var(--{role.replace('_', '-')})" for role, colour in LIGHT.items()}
_COLOUR = re.compile("|".join(LIGHT.values()))
_FONT = re.compile(r"font: (?:(\w+) )?([\d.]+px) [^;\"]+|font-family: [^;\"]+;? ?")
_STROKES = 'style="stroke-linejoin:round;stroke-linecap:butt"'


def inline(figure: Figure, name: str, title: str, description: str) -> str:
    """An <svg> element as wide as its place on a page, in the page's colours (custom properties) and font.

    name: unique on the page; prefix of its ids.
    """
    width, height, body = _parts(figure, name)
    body = _COLOUR.sub(lambda colour: _VARIABLES[colour[0]], body)
    body = _FONT.sub(_without_family, body)
    body = body.replace("xlink:href", "href")
    words = f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>'
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-t {name}-d" {_STROKES}>'
        f"{words}{body}</svg>"
    )


def document(figures: Sequence[Figure], title: str, description: str) -> str:
    """An SVG file with the figures below one another on white; its size is that of the figures, in points."""
    parts = [_parts(figure, f"f{number}") for number, figure in enumerate(figures)]
    width, height = max(part[0] for part in parts), sum(part[1] for part in parts)
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    size = f'width="{width:g}pt" height="{height:g}pt" viewBox="0 0 {width:g} {height:g}"'
    lines = [f'<svg {spaces} {size} role="img" {_STROKES}>']
    lines.append(f"<title>{escape(title)}</title><desc>{escape(description)}</desc>")
    lines.append(f'<rect width="100%" height="100%" fill="{LIGHT["page"]}"/>')
    top = 0.0
    for _, part_height, body in parts:
        lines.append(f'<g transform="translate(0 {top:g})">{body}</g>')
        top += part_height
    return "\n".join([*lines, "</svg>"]) + "\n"


def _without_family(font: re.Match[str]) -> str:
    """Size and weight of a style's font; nothing for a family."""
    weight, size = font.groups()
    return (f"font-size: {size}" if size else "") + (f"; font-weight: {weight}" if weight else "")


def _parts(figure: Figure, prefix: str) -> tuple[float, float, str]:
    """Width and height in points, and what stands inside the <svg> element, its ids with a prefix."""
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata=_UNDATED)
    text = buffer.getvalue()
    width, height = (float(value) for value in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups())
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)[\")]", body))
    body = re.sub(r' id="([\w.-]+)"', lambda name: f' id="{prefix}-{name[1]}"' if name[1] in used else "", body)
    body = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", body)
    return width, height, re.sub(r"\n\s*", "\n", body)
