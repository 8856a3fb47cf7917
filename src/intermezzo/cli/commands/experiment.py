"""Commands on an experiment: its configuration, its grid, its scores as tables."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from intermezzo.cli.output import show
from intermezzo.core.errors import UserError

if TYPE_CHECKING:
    from intermezzo.config.models import Config


def check_config(options: Namespace) -> None:
    """Say that a configuration is valid, with remarks on what is most likely not meant."""
    from intermezzo.config.remarks import remarks
    from intermezzo.dag.preflight import load_experiment, print_remarks

    config = load_experiment(options.overlays)
    show(options, ["the configuration is valid"], {"valid": True, "warnings": list(remarks(config))})
    print_remarks(config)


def document_config(options: Namespace) -> None:
    """Compare or write the files that are generated from types, task files and the parser."""
    from intermezzo.cli import reference
    from intermezzo.config import docs

    files = docs.files() | reference.files()
    changed = docs.write(files) if options.write else docs.outdated(files)
    if changed and options.check:
        raise UserError(f"not up to date: {', '.join(changed)}; run `intermezzo config docs --write`")
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
    prompted = sum(len(targets) * len(grid.prompted_runs(name)) for name, targets in grid.prompted.items())
    rows += [("prompted evaluations", prompted, ", ".join(grid.prompted))] if prompted else []
    sections = ("encoders", "intermediates", "mixes", "targets", "prompted")
    unused = {name: sorted(set(getattr(grid.config, name)) - set(getattr(chosen, name))) for name in sections}
    of_targets = {grid.config.target(target).mix for target in grid.targets}
    unused["mixes"] = [name for name in unused["mixes"] if name not in of_targets]
    lines = [f"{count:8}  {name:24}{what}".rstrip() for name, count, what in rows]
    lines += [f"defined but not in grid.{name}: {_list(names)}" for name, names in unused.items() if names]
    counts = {name.replace(" ", "_"): count for name, count, _ in rows} | {"results": len(inputs.evaluation_paths())}
    content = counts | {"grid": {name: list(getattr(chosen, name)) for name in (*sections, "seeds")}, "unused": unused}
    show(options, lines, content)
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
