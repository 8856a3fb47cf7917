"""What commands print: words for people, or the same as JSON for programs (`--json FILE`, `--json -`)."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def show(options: Namespace, lines: Iterable[str], content: Any) -> None:
    """Print `lines`, and write `content` to the file that `--json` names; with `--json -` print `content` alone."""
    if options.json == "-":
        print(json.dumps(content, indent=1, ensure_ascii=False))
        return
    for line in lines:
        print(line)
    if options.json:
        from intermezzo.core.artifacts import write_json

        write_json(Path(options.json), content)
