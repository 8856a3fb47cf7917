"""The image that jobs run in with `snakemake --sdm apptainer` (containers/), and what is said before the first of them.

An image has the packages of the environment and not the code: that of the Snakefile's folder runs, which is mounted.
"""

from __future__ import annotations

import os
from pathlib import Path

from intermezzo.core.errors import UserError
from intermezzo.core.places import PROJECT

IMAGE = "INTERMEZZO_IMAGE"
"""Environment variable: another image, as a file or an address (docker://...)."""
RECIPE = "containers/intermezzo.def"


def image() -> str:
    """The file or address of the image."""
    return os.environ.get(IMAGE) or str(PROJECT / RECIPE.replace(".def", ".sif"))


def for_snakemake() -> str | None:
    """The same for `containerized:`, which takes no blanks, not even where no container is asked for: then none."""
    place = image()
    return None if any(map(str.isspace, place)) else place


def check(methods: set[str], arguments: str) -> None:
    """Raise UserError where jobs could not start in containers.

    methods: how software is deployed (`--sdm`), arguments: those for Apptainer (`--apptainer-args`).
    """
    if "apptainer" not in methods:
        return
    if "conda" in methods:
        raise UserError("--sdm: give conda or apptainer, not both: the image has the packages, and no conda")
    place = image()
    if for_snakemake() is None:
        raise UserError(f"{place}: Snakemake takes no image whose name has blanks; name another one by {IMAGE}")
    if "://" not in place and not Path(place).exists():
        build = f"apptainer build {place} {RECIPE}, in {PROJECT}"
        raise UserError(f"{place}: there is no such image; build it ({build}), or name another one by {IMAGE}")
    binds = [arguments, *(os.environ.get(name, "") for name in ("APPTAINER_BIND", "SINGULARITY_BIND"))]
    mounted = (Path.cwd(), Path("/tmp"))  # Snakemake makes the folder of the run the home folder in containers
    if not any(PROJECT.is_relative_to(folder) for folder in mounted) and not any(
        str(PROJECT) in text for text in binds
    ):
        raise UserError(f"{PROJECT} is not seen in containers; add --apptainer-args '--bind {PROJECT}'")
