"""Where relative paths of a configuration lead: below the folder of the run, or else below the project's folder.

The folder of the run is the working directory, which Snakemake's `--directory` chooses; the project's is that of the
Snakefile. So an experiment that runs in a folder of its own uses the data and tasks of the project, unless its folder
has some of that name.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
"""The folder of the Snakefile."""


def locate(place: str | Path) -> Path:
    """The file or folder that a path of the configuration means: as it is where it exists or is absolute.

    `~` is the home folder. Raises ValueError for a path that no system takes, as the home of a user who does not exist.
    """
    try:
        path = Path(place).expanduser()
        if path.is_absolute() or path.exists() or not (PROJECT / path).exists():
            return path
        return PROJECT / path
    except RuntimeError:
        raise ValueError(f"{place}: no such user") from None
    except OSError as error:
        raise ValueError(f"{place}: {error.strerror}") from None


def looked_up(place: str | Path) -> str:
    """The absolute paths at which `locate` has looked, for messages."""
    path = Path(place).expanduser()
    return " or ".join(dict.fromkeys(os.path.normpath(folder / path) for folder in (Path.cwd(), PROJECT)))


def local(source: str) -> str:
    """A folder's path, if `source` is one that lies elsewhere than it says (`locate`); `source` itself otherwise."""
    path = Path(source) if source.startswith("package:") else locate(source)
    return str(path) if path != Path(source) and path.is_dir() else source
