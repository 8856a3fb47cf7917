"""MLflow: parameters, metrics and scores of a run, through its client, which has no state of the process.

Its own settings hold: MLFLOW_TRACKING_URI (a server, a database, a folder; without it logs/mlflow.db) and
MLFLOW_EXPERIMENT_NAME (without it `intermezzo`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intermezzo.execution import locks
from intermezzo.execution.trackers import FOLDER, flat

_IDENTITY = "intermezzo.id"
_LONGEST = 500
"""Characters of a parameter, which servers limit; all values are in the model's manifest."""
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""A server that does not answer costs a training seconds, unless its user says otherwise."""


class Tracker:
    """A run of MLflow."""

    def __init__(self, name: str, identity: str, config: Mapping[str, Any]) -> None:
        for variable, value in _PATIENCE.items():
            os.environ.setdefault(variable, value)
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._metric = Metric
        folder = Path(FOLDER)
        folder.mkdir(exist_ok=True)
        with locks.acquire(folder / ".mlflow.lock"):  # jobs that begin at once would make the same tables
            self.client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{FOLDER}/mlflow.db")
            title = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "intermezzo"
            experiment = self.client.get_experiment_by_name(title)
            number = experiment.experiment_id if experiment else self.client.create_experiment(title)
            earlier = self.client.search_runs([number], f"tags.`{_IDENTITY}` = '{identity}'", max_results=1)
            run = earlier[0] if earlier else self.client.create_run(number, run_name=name, tags={_IDENTITY: identity})
        self.run_id = run.info.run_id
        if earlier:
            self.client.update_run(self.run_id, status="RUNNING")
        else:
            values = [Param(_key(key), str(value)[:_LONGEST]) for key, value in flat(config).items()]
            for start in range(0, len(values), 100):  # the most that a request may hold
                self.client.log_batch(self.run_id, params=values[start : start + 100])

    def losses(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """Values of one step of a phase."""
        self._log({f"{phase}/{key}": value for key, value in values.items()}, step)

    def scores(self, values: Mapping[str, float]) -> None:
        """Final values."""
        self._log(values, 0)

    def _log(self, values: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [self._metric(_key(key), float(value), now, step) for key, value in values.items()]
        for start in range(0, len(metrics), 1000):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + 1000])

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self.client.set_terminated(self.run_id, "FAILED" if failed else "FINISHED")


def _key(name: str) -> str:
    """A name of the characters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)
