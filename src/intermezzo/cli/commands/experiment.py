"""Commands on an experiment: its configuration, its grid, its scores as tables."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from intermezzo.core.errors import UserError

if TYPE_CHECKING:
    from intermezzo.config.models import Config


def check_config(options: Namespace) -> None:
    """Say that a configuration is valid, with remarks on what is most likely not meant."""
    from intermezzo.dag.preflight import load_experiment, print_remarks

    config = load_experiment(options.overlays)
    print("the configuration is valid")
    print_remarks(config)


def document_config(options: Namespace) -> None:
    from intermezzo.config import docs

    changed = docs.write() if options.write else docs.outdated()
    if changed and options.check:
        raise UserError(f"not up to date: {', '.join(changed)}; run `python -m intermezzo config docs --write`")
    print(f"written: {', '.join(changed)}" if changed else "up to date")


def show_grid(options: Namespace) -> None:
    """Print what an experiment consists of and how many jobs of each kind it has."""
    from intermezzo.dag.experiment import Grid
    from intermezzo.dag.inputs import Inputs
    from intermezzo.dag.preflight import load_experiment, print_remarks

    grid = Grid(load_experiment(options.overlays))
    if options.design:
        from intermezzo.core.artifacts import write_text
        from intermezzo.dag.specs import Specs

        write_text(options.design, Specs(grid).spec_summary() + "\n")
    inputs, chosen = Inputs(grid), grid.config.grid
    evaluations = sum(len(grid.runs_of(target)) for target in grid.targets)
    rows = [
        ("data files", len(inputs.data_paths()), ""),
        ("encoders", len(grid.encoders), ", ".join(grid.encoders)),
        (
            "intermediate trainings",
            len(grid.intermediate_runs),
            _trained(grid.config),
        ),
        ("target trainings", len(inputs.target_paths()), _list(t for t in grid.targets if grid.is_trained(t))),
        ("evaluations", evaluations, f"{len(inputs.evaluation_paths())} results (one per language)"),
    ]
    for name, count, what in rows:
        print(f"{count:8}  {name:24}{what}")
    for section in ("encoders", "intermediates", "mixes", "targets"):
        unused = sorted(set(getattr(grid.config, section)) - set(getattr(chosen, section)))
        if unused:
            print(f"defined but not in grid.{section}: {_list(unused)}")
    print_remarks(grid.config)


def _trained(config: Config) -> str:
    """Intermediates x mixes, together those that are trained in the same ones."""
    together: dict[str, list[str]] = {}
    for name in config.grid.intermediates:
        together.setdefault(_list(config.mixes_of(name)), []).append(name)
    return "; ".join(f"{_list(names)} x {mixes}" for mixes, names in together.items()) or "none"


def show_tables(options: Namespace) -> None:
    """Print scores per language, controls beside the targets that they belong to."""
    from intermezzo.analysis.per_language import tables
    from intermezzo.config import load
    from intermezzo.dag.experiment import Grid

    grid = Grid(load(*options.overlays))
    main = {target: grid.task(target).metrics[0] for target in grid.targets}
    partial = [target for target in grid.targets if grid.config.target(target).partial_input]
    controls = {target: grid.task(target).name for target in partial}
    order = dict.fromkeys(language for target in grid.targets for language in grid.languages(target))
    print(tables(options.scores, main, controls, list(order)))


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
