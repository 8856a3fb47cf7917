"""The comparisons of a grid with their costs, and the configuration that runs a choice of them."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from intermezzo.config.catalogue import ENGLISH
from intermezzo.core.errors import UserError, suggestion
from intermezzo.dag.paths import BASELINE
from intermezzo.planning.choice import Candidates, Choice, Comparison
from intermezzo.planning.costs import Cost
from intermezzo.planning.estimate import Plan
from intermezzo.planning.rates import CPU


def candidates_of(plan: Plan, values: Mapping[str, float]) -> Candidates:
    """The candidates of a plan, in seconds of GPUs, or of the CPU where no job runs on a GPU. Done jobs cost nothing.

    values: an intermediate, a mix or `intermediate/mix` -> what its comparisons are worth (1 without one; the more
    special name wins). Raises UserError for a name that the grid has not.
    """
    grid = plan.grid.config.grid
    _check(values, [*grid.intermediates, *grid.mixes, *("/".join(trained) for trained in plan.grid.trained)])
    on_gpu = any(cost.device != CPU for cost in plan.costs.values())
    encoders = dict.fromkeys(plan.grid.encoders, 0.0)
    comparisons: dict[Comparison, float] = {run[:3]: 0.0 for run in plan.grid.intermediate_runs}
    translations: dict[str, float] = {}
    for path, seconds in plan.todo.items():
        keys = plan.jobs[path].keys
        if not _is_counted(plan.costs[path], on_gpu):
            continue
        if not hasattr(keys, "encoder"):
            if plan.jobs[path].stage == "data" and plan.costs[path].tokens:
                translations[path] = seconds
            continue
        if getattr(keys, "intermediate", BASELINE) == BASELINE:
            encoders[keys.encoder] += seconds
        else:
            comparisons[keys.encoder, keys.intermediate, keys.mix] += seconds
    users = _users(plan, translations)
    shared = {path: (seconds, frozenset(users[path])) for path, seconds in translations.items()}
    worth = {key: _value(values, key[1], key[2]) for key in comparisons}
    return Candidates(encoders, comparisons, english_mix(plan), worth, shared)


def _users(plan: Plan, translations: Mapping[str, float]) -> dict[str, set[Comparison]]:
    """Path of a translation -> the comparisons that are trained on it, or on what other data jobs make of it."""
    users: dict[str, set[Comparison]] = {path: set() for path in translations}
    made_of = {path: {path} for path in translations}
    for path, job in plan.jobs.items() if translations else ():
        origins = {origin for need in job.needs for origin in made_of.get(need, ())}
        if job.stage == "data" and origins:
            made_of[path] = origins
        elif job.stage == "intermediate":
            for origin in origins:
                users[origin].add((job.keys.encoder, job.keys.intermediate, job.keys.mix))
    return users


def english_mix(plan: Plan) -> str | None:
    """The mix that others are compared with: the first of English alone whose budget is English's own."""
    mixes = plan.grid.config.mixes
    for name in plan.grid.config.grid.mixes:
        languages = {code for code, weight in mixes[name].weights.items() if weight > 0}
        if languages == {ENGLISH} and mixes[name].budget != "english_repeated":
            return name
    return None


def overlay(choice: Choice) -> str:
    """The choice as a configuration file over the one that was planned."""
    lists = {"encoders": choice.encoders, "intermediates": choice.intermediates, "mixes": choice.mixes}
    return yaml.safe_dump({"grid": lists}, sort_keys=False, default_flow_style=None, width=10**6)


def _is_counted(cost: Cost, on_gpu: bool) -> bool:
    return not on_gpu or cost.device != CPU


def _value(values: Mapping[str, float], intermediate: str, mix: str) -> float:
    for name in (f"{intermediate}/{mix}", intermediate, mix):
        if name in values:
            return values[name]
    return 1.0


def _check(values: Mapping[str, float], names: list[str]) -> None:
    for name, value in values.items():
        if name not in names:
            raise UserError(f"--value: nothing in the grid is called '{name}'; {suggestion(name, names)}")
        if not 0 <= value < 1e6:
            raise UserError(f"--value {name}={value:g}: a value is a number from 0 to a million")
