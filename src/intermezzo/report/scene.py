"""A drawing as a list of shapes, written as SVG (in a page or a file) and as PDF.

One unit is a CSS pixel on the page and a point in the PDF; y grows downwards. A colour is a role of `palette` or a
hexadecimal colour. On a page roles become custom properties, so that a drawing follows the page into the dark; in
files they are the light colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from intermezzo.core.artifacts import atomic
from intermezzo.report.palette import LIGHT

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_PDF_FONT = 0.88
"""DejaVu Sans, which the PDF embeds, is wider than the fonts that pages use."""


@dataclass
class Scene:
    """A drawing of a fixed size. title: its name; description: what it shows, for those who cannot see it."""

    width: float
    height: float
    title: str
    description: str = ""
    shapes: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    """Kind (line, rect, dot, path, text), its values, and the words that a pointer on it shows."""

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1, opacity: float = 1
    ) -> None:
        self.path([(x1, y1), (x2, y2)], colour, width, opacity)

    def path(
        self,
        points: Sequence[tuple[float, float]],
        colour: str,
        width: float = 1,
        opacity: float = 1,
        dash: tuple[float, float] | None = None,
        fill: bool = False,
        tip: str = "",
    ) -> None:
        values = {"points": list(points), "colour": colour, "width": width, "opacity": opacity, "dash": dash}
        self.shapes.append(("path", values | {"fill": fill}, tip))

    def rect(
        self, x: float, y: float, width: float, height: float, colour: str, opacity: float = 1, tip: str = ""
    ) -> None:
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
        self.path(corners, colour, 0, opacity, fill=True, tip=tip)

    def dot(self, x: float, y: float, size: float, colour: str, shape: str = "disc", tip: str = "") -> None:
        """A mark of radius `size`: disc, ring, square or diamond."""
        if shape in ("disc", "ring"):
            values = {"x": x, "y": y, "size": size, "colour": colour, "ring": shape == "ring"}
            self.shapes.append(("dot", values, tip))
            return
        reach = size * (0.88 if shape == "square" else 1.2)
        square = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
        turned = [(0, -1), (1, 0), (0, 1), (-1, 0), (0, -1)]
        corners = square if shape == "square" else turned
        self.path([(x + reach * i, y + reach * j) for i, j in corners], colour, 0, fill=True, tip=tip)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float = 11,
        colour: str = "ink",
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """Words on the baseline y; anchor: start, middle or end."""
        values = {"x": x, "y": y, "size": size, "colour": colour, "anchor": anchor, "bold": bold}
        if words:
            self.shapes.append(("text", values | {"words": words}, ""))

    def place(self, other: Scene, x: float, y: float) -> None:
        """Draw another scene here."""
        for kind, values, tip in other.shapes:
            moved = dict(values)
            if kind == "path":
                moved["points"] = [(i + x, j + y) for i, j in values["points"]]
            else:
                moved |= {"x": values["x"] + x, "y": values["y"] + y}
            self.shapes.append((kind, moved, tip))

    def svg(self, name: str = "", *, inline: bool = False) -> str:
        """SVG. `name` is unique on its page; `inline` makes it part of a page, with the page's colours and font."""
        names = f' role="img" aria-labelledby="{name}-t {name}-d"' if name else ' role="img"'
        size = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        extra = "" if inline else f' xmlns="http://www.w3.org/2000/svg" width="{_n(self.width)}" '
        extra += "" if inline else f'height="{_n(self.height)}" font-family="{escape(FONT)}"'
        head = [f"<svg {size}{extra}{names}>"]
        ids = [f' id="{name}-{part}"' if name else "" for part in "td"]
        head.append(f"<title{ids[0]}>{escape(self.title)}</title><desc{ids[1]}>{escape(self.description)}</desc>")
        if not inline:
            head.append(f'<rect width="100%" height="100%" fill="{LIGHT["page"]}"/>')
        body = [_SVG[kind](values, _paint(values["colour"], inline), tip) for kind, values, tip in self.shapes]
        return "\n".join([*head, *body, "</svg>"]) + "\n"


def write_svg(scene: Scene, path: Path) -> None:
    with atomic(path) as part:
        part.write_text(scene.svg(), encoding="utf-8")


def write_pdf(scenes: Sequence[Scene], path: Path) -> None:
    """One page per scene, fonts embedded, without dates: equal scenes give equal bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    unsaid = dict.fromkeys(("CreationDate", "Creator", "Producer"))
    style = {"pdf.fonttype": 42, "font.family": "DejaVu Sans", "path.simplify": False}
    with rc_context(style), atomic(path) as part, PdfPages(part, metadata=unsaid | {"Title": path.stem}) as pages:
        for scene in scenes:
            figure = Figure(figsize=(scene.width / 72, scene.height / 72))
            axes = figure.add_axes((0, 0, 1, 1), xlim=(0, scene.width), ylim=(scene.height, 0))
            axes.axis("off")
            for order, (kind, values, _) in enumerate(scene.shapes):
                _PDF[kind](axes, values, LIGHT.get(values["colour"], values["colour"])).set_zorder(order)
            pages.savefig(figure)


def _paint(colour: str, inline: bool) -> str:
    if colour not in LIGHT:
        return colour
    return f"var(--{colour.replace('_', '-')})" if inline else LIGHT[colour]


def _n(value: float) -> str:
    """At most one decimal: a tenth of a pixel is finer than any screen."""
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown


def _closed(element: str, attributes: str, tip: str) -> str:
    return f"<{element} {attributes}><title>{escape(tip)}</title></{element}>" if tip else f"<{element} {attributes}/>"


def _svg_path(values: dict[str, Any], paint: str, tip: str) -> str:
    points = " ".join(f"{_n(x)} {_n(y)}" for x, y in values["points"])
    look = f'fill="{paint}"' if values["fill"] else f'fill="none" stroke="{paint}"'
    if values["width"] and values["width"] != 1:
        look += f' stroke-width="{_n(values["width"])}"'
    if values["opacity"] != 1:
        look += f' opacity="{values["opacity"]:g}"'
    if values["dash"]:
        look += f' stroke-dasharray="{" ".join(map(_n, values["dash"]))}"'
    return _closed("path", f'd="M{points}" {look}', tip)


def _svg_dot(values: dict[str, Any], paint: str, tip: str) -> str:
    look = f'fill="{paint}"'
    if values["ring"]:
        inside = "var(--panel)" if paint.startswith("var") else LIGHT["panel"]
        look = f'fill="{inside}" stroke="{paint}" stroke-width="1.8"'
    size = values["size"] - (0.6 if values["ring"] else 0)
    return _closed("circle", f'cx="{_n(values["x"])}" cy="{_n(values["y"])}" r="{_n(size)}" {look}', tip)


def _svg_text(values: dict[str, Any], paint: str, tip: str) -> str:
    look = f'font-size="{_n(values["size"])}" fill="{paint}"'
    if values["anchor"] != "start":
        look += f' text-anchor="{values["anchor"]}"'
    if values["bold"]:
        look += ' font-weight="600"'
    return f'<text x="{_n(values["x"])}" y="{_n(values["y"])}" {look}>{escape(values["words"], quote=False)}</text>'


def _pdf_path(axes: Any, values: dict[str, Any], paint: str) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon

    if values["fill"]:
        shape = Polygon(values["points"], facecolor=paint, edgecolor="none", alpha=values["opacity"])
        return axes.add_patch(shape)
    x, y = zip(*values["points"], strict=True)
    line = Line2D(x, y, color=paint, linewidth=values["width"], alpha=values["opacity"], solid_capstyle="butt")
    if values["dash"]:
        line.set_linestyle((0, tuple(step / values["width"] for step in values["dash"])))
    return axes.add_line(line)


def _pdf_dot(axes: Any, values: dict[str, Any], paint: str) -> Any:
    from matplotlib.patches import Circle

    ring, at = values["ring"], (values["x"], values["y"])
    look = {"facecolor": LIGHT["panel"], "edgecolor": paint, "linewidth": 1.8}
    return axes.add_patch(Circle(at, values["size"] - 0.6, **look) if ring else Circle(at, values["size"], color=paint))


def _pdf_text(axes: Any, values: dict[str, Any], paint: str) -> Any:
    look = {"ha": {"start": "left", "middle": "center", "end": "right"}[values["anchor"]], "va": "baseline"}
    look |= {"fontsize": values["size"] * _PDF_FONT, "color": paint, "parse_math": False}
    return axes.text(
        values["x"], values["y"], values["words"], fontweight="bold" if values["bold"] else "normal", **look
    )


_SVG = {"path": _svg_path, "dot": _svg_dot, "text": _svg_text}
_PDF = {"path": _pdf_path, "dot": _pdf_dot, "text": _pdf_text}
