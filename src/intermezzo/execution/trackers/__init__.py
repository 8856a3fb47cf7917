"""Trackers of experiments: MLflow, Weights & Biases and TensorBoard see losses and scores, and change nothing.

    with trackers.follow("results/target/...", spec.as_json()) as run:     the folder of the model; its configuration
        run.losses("target", step=20, loss=0.7, tokens=5120)
    trackers.log_scores("results/target/...", manifest["spec"], {"nli/fri/accuracy": 0.4})

Each is a module of this folder with a class `Tracker` (the protocol `Tracker` below), and an optional extra of the
package. A run is known by its name and its configuration: a training that goes on after a kill, and the evaluations of
its model, go into the same run. What a tracker raises is one warning, and the job goes on without it. It can draw
random numbers, too: the states of all generators are put back after each call.
"""

from __future__ import annotations

import logging
import os
import random
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from intermezzo.core.artifacts import digest
from intermezzo.core.errors import UserError

TRACKERS = "INTERMEZZO_TRACKERS"
"""Environment variable: names of trackers with commas between them."""
TENSORBOARD = "INTERMEZZO_TENSORBOARD"
"""Environment variable: a folder for TensorBoard's event files, which asks for this tracker."""
NAMES = ("mlflow", "wandb")
FOLDER = "logs"
"""Where trackers write if their own settings name no place, in the folder of the run."""
_SECRET = re.compile(r"KEY|TOKEN|PASSWORD|SECRET|CREDENTIAL", re.IGNORECASE)
log = logging.getLogger(__name__)


class Tracker(Protocol):
    """One run of one tracker. Whatever a method raises is caught by its caller."""

    def __init__(self, name: str, identity: str, config: Mapping[str, Any]) -> None:
        """name: the folder of the model. identity: 16 hexadecimal digits. config: nested JSON values."""

    def losses(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """Values of one step of a phase (intermediate, target, pretrain)."""

    def scores(self, values: Mapping[str, float]) -> None:
        """Final values: "target/language/metric" -> 0..1."""

    def close(self, *, failed: bool) -> None:
        """End the run."""


class TrackedRun:
    """All trackers of a run; one that fails is left out from then on."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        """Raises UserError for a tracker that does not exist or is not installed."""
        self.trackers: dict[str, Tracker] = {}
        for tracker in check():
            with self._guard(tracker):
                kind = import_module(f"{__name__}.{tracker}").Tracker
                self.trackers[tracker] = kind(name, digest([name, config], 16), config)

    def losses(self, phase: str, step: int, **values: float) -> None:
        """Log the values of one step of a phase."""
        for name, tracker in list(self.trackers.items()):
            with self._guard(name):
                tracker.losses(phase, step, values)

    def scores(self, values: Mapping[str, float]) -> None:
        """Log final values."""
        for name, tracker in list(self.trackers.items()):
            with self._guard(name):
                tracker.scores(values)

    def close(self, *, failed: bool) -> None:
        """End the run."""
        for name, tracker in list(self.trackers.items()):
            with self._guard(name):
                tracker.close(failed=failed)

    @contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        states = _generator_states()
        try:
            yield
        except (Exception, SystemExit) as error:
            self.trackers.pop(name, None)
            reason = _without_secrets(f"{type(error).__name__}: {error}")
            log.warning("the tracker %s has failed (%s); this job goes on without it", name, reason[:500])
        finally:
            for put_back, state in states:
                put_back(state)


@contextmanager
def follow(name: str, config: Mapping[str, Any], *, active: bool = True) -> Iterator[TrackedRun]:
    """A run of all trackers that the environment asks for, within the context.

    active: False in processes of a training whose losses another one logs. Raises UserError as `check` does.
    """
    run = TrackedRun(name, config) if active else _NOBODY
    failed = True
    try:
        yield run
        failed = False
    finally:
        run.close(failed=failed)


def log_scores(name: str, config: Mapping[str, Any], values: Mapping[str, float]) -> None:
    """Add final scores to the run of a model. Raises UserError as `check` does."""
    with follow(name, config) as run:
        run.scores(values)


def check() -> list[str]:
    """The trackers that the environment asks for. Raises UserError for one that is unknown or not installed."""
    names = [name.strip() for name in os.environ.get(TRACKERS, "").split(",") if name.strip()]
    if unknown := [name for name in names if name not in NAMES]:
        mend = f"it may name {' and '.join(NAMES)}, with a comma between them"
        raise UserError(f"{TRACKERS}: there is no tracker {unknown[0]!r}; {mend}")
    variables = dict.fromkeys(names, TRACKERS)
    if os.environ.get(TENSORBOARD):
        variables["tensorboard"] = TENSORBOARD
    for name, variable in variables.items():
        if name not in sys.modules and find_spec(name) is None:
            raise UserError(f"{variable} is set, but {name} is not installed (pip install -e '.[{name}]')")
    return list(variables)


def flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A nested configuration with one level: {"training.epochs": 3}. Lists are numbered."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
            value = {str(number): item for number, item in enumerate(value)}
        values |= flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return values


def _generator_states() -> list[tuple[Any, Any]]:
    """(function that sets a state, state) of the generators of random numbers that this process has loaded."""
    states: list[tuple[Any, Any]] = [(random.setstate, random.getstate())]
    if numpy := sys.modules.get("numpy"):
        states.append((numpy.random.set_state, numpy.random.get_state()))
    if torch := sys.modules.get("torch"):
        states.append((torch.set_rng_state, torch.get_rng_state()))
    return states


def _without_secrets(text: str) -> str:
    """A message of a tracker without keys of the environment and without what stands before the @ of an address."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) > 3:
            text = text.replace(value, "***")
    return re.sub(r"://[^/@\s]+@", "://***@", text)


_NOBODY = object.__new__(TrackedRun)
_NOBODY.trackers = {}
