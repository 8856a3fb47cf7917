"""Hooks of mkdocs (mkdocs.yml): pages from outside docs/, links to files that are no pages, no other server."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "config/README.md": "config-files.md",
}
"""File of the repository -> page of the site."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_LOADED = re.compile(r"<(?:script|img|iframe)[^>]*\ssrc=[\"']?https?:|<link[^>]*stylesheet[^>]*href=[\"']?https?:")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside docs/."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead to pages of the site; a link to another file of the repository becomes its name."""
    path = page.file.src_uri
    source = next((name for name, target in OUTSIDE.items() if target == path), f"docs/{path}")
    markdown = re.sub(r"^```mermaid\n.*?^```\n", "", markdown, flags=re.MULTILINE | re.DOTALL)  # would load a script

    def mended(match: re.Match[str]) -> str:
        mark, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if re.match(r"[a-z]+:", target):
            return match[0]
        file = normpath(f"{dirname(source)}/{target}" if dirname(source) else target)
        place = OUTSIDE.get(file, file.removeprefix("docs/") if file.startswith("docs/") else None)
        return text if place is None else f"{mark}[{text}]({relpath(place, dirname(path) or '.')}{anchor})"

    return _LINK.sub(mended, markdown)


def on_post_build(config: Any) -> None:
    """Raise for a page that would load something from another server."""
    for page in Path(config.site_dir).rglob("*.html"):
        if loaded := _LOADED.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page.name} loads {loaded[0]}")
