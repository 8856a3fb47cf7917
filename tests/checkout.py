"""A copy of the workflow to run and edit, for tests of whole runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from intermezzo.core.model_packages import model_package

ROOT = Path(__file__).resolve().parents[1]
TINY = "config/experiments/tiny.yaml"


def skip_without_packages(path: Path) -> None:
    """Skip a test of an experiment whose encoders are in optional packages that are not installed."""
    for source in sorted({f"package:{name}" for name in re.findall(r"package:(\w+)", path.read_text())}):
        package = model_package(source)
        absent = list(package.problems()) if package else not find_spec(source.removeprefix("package:"))
        if absent:
            pytest.skip(f"the optional package with a real encoder is not installed ({source})")


class Checkout:
    """A copy of what the workflow needs, to run and edit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def fresh(cls, folder: Path) -> Checkout:
        skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("src", "resources", "workflow", "profiles", "config"):
            shutil.copytree(ROOT / name, folder / name, ignore=skip)
        shutil.copy2(ROOT / "Snakefile", folder / "Snakefile")
        return cls(folder)

    def copy(self, folder: Path) -> Checkout:
        """Code, results and Snakemake's memory of them, times included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder)

    def snakemake(self, *arguments: str, overlays: tuple[str, ...] = (), **settings) -> subprocess.CompletedProcess:
        """Run Snakemake here on the tiny experiment, with files and key paths (a__b=value) over it."""
        files = [TINY, *overlays]
        if settings:
            changes: dict = {}
            for path, value in settings.items():
                *above, last = path.split("__")
                here = changes
                for key in above:
                    here = here.setdefault(key, {})
                here[last] = value
            (self.folder / "changes.yaml").write_text(yaml.safe_dump(changes))
            files.append("changes.yaml")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "INTERMEZZO"))}
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", *files],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )

    def run(self, *arguments: str, **settings) -> str:
        done = self.snakemake(*arguments, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def planned(self, *targets: str, **settings) -> set[str]:
        """What a dry run would do, in the words of the rules' messages (without the target `summary` itself)."""
        output = self.run("--dry-run", *targets, **settings)
        planned = set(re.findall(r"^ *Job \d+: (?!Everything)(.*)$", output, flags=re.MULTILINE))
        assert bool(planned) != ("Nothing to be done" in output), output
        return planned

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / "src" / "intermezzo" / name
        text = path.read_text()
        assert text.count(old) >= 1, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1))
