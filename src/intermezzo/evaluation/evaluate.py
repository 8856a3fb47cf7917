"""Evaluate one model on one target in all its languages: predictions, then scores, one JSON per language.

Predictions are kept in a cache keyed by what they depend on (weights, data, code, settings). Adding a language
therefore predicts that language alone, and other metrics predict nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo.core.artifacts import atomic, digest, read_json, sha256, write_json
from intermezzo.evaluation.metrics import item_scores, majority, score
from intermezzo.modeling.tokenizer import subwords_per_word
from intermezzo.specs.evaluation import CodeStamps, EvaluateSpec
from intermezzo.specs.prediction import PredictionSpec
from intermezzo.tasks.formats import Format, load_format

PREDICTIONS = "predictions.parquet"
log = logging.getLogger(__name__)


def evaluate(
    spec: EvaluateSpec,
    model: Path,
    data: dict[str, Path],
    outputs: dict[str, Path],
    names: dict[str, Any],
    *,
    support: dict[str, Path],
    cache: Path,
    code: CodeStamps,
    fetch: Callable[[], None] = lambda: None,
) -> None:
    """Score `model` (a model folder) on `data` (name -> Parquet) and write `outputs` (name -> JSON).

    A name is a language, or {language}.dev for its development data, which only serves to choose intermediates.
    support: language -> Parquet of what predictions need besides (mining: data to tune its threshold on; ranking: the
    candidates). Beside the JSONs are predictions.parquet (name, id, prediction, and of test data the score of each row,
    where a row can be scored) and, written last, manifest.json, which
    has the SHA-256 of each JSON: what changes a result afterwards does not go unseen. names: keys that name the run,
    copied into each JSON. fetch: called before the model's weights are read, which is only when there is something to
    predict.
    """
    prediction, task, form = spec.prediction, spec.prediction.task, load_format(spec.prediction.task.format)
    manifest = read_json(model / "manifest.json")
    predictor = _Predictor(prediction, model, support, cache / "tokens", fetch)
    support_sha256 = {language: sha256(path) for language, path in support.items()}
    predicted, tables = [], {}
    for name, path in data.items():
        language = name.removesuffix(".dev")
        made_from = {
            "weights_sha256": manifest["weights_sha256"],
            "heads_sha256": manifest.get("heads_sha256"),
            "data_sha256": sha256(path),
            "code": code.predict,
            "spec": prediction.as_json(),
        }
        if support:
            per_language = form.support == "dev"
            made_from["support_sha256"] = {language: support_sha256.get(language)} if per_language else support_sha256
        table = pq.read_table(path)
        rows = table.to_pylist()
        stored = cache / f"{digest(made_from, 32)}.parquet"
        if not stored.is_file():
            predicted.append(name)
            with atomic(stored) as part:
                predictions = predictor(rows, language)
                pq.write_table(pa.table({"id": table["id"], "prediction": predictions}), part, compression="zstd")
        tables[name] = pq.read_table(stored)
        predictions, gold = tables[name]["prediction"].to_pylist(), gold_of(rows, form)
        if form.scored_by_item and name == language:
            tables[name] = tables[name].append_column(
                "score", [item_scores(task, predictions, gold, language, spec.metrics)]
            )
        result = {
            "metrics": score(task, predictions, gold, language, spec.metrics),
            "majority": majority(task, rows, language, spec.metrics),
            "n": len(rows),
            "language": language,
            "split": "dev" if name != language else path.stem,
            "fertility": subwords_per_word(model, rows),
            "predictions_sha256": sha256(stored),
            "scorer": code.score,
        }
        write_json(outputs[name], names | made_from | result)
    results = {name: sha256(path) for name, path in outputs.items()}
    folder = next(iter(outputs.values())).parent
    write_predictions(tables, folder / PREDICTIONS)
    write_json(
        folder / "manifest.json", names | {"spec": spec.as_json(), "code": code.model_dump(), "results": results}
    )
    cached = [name for name in data if name not in predicted]
    log.info("predicted: %s; from the cache: %s", ", ".join(predicted) or "none", ", ".join(cached) or "none")


def write_predictions(tables: dict[str, pa.Table], path: Path) -> None:
    """All predictions of an evaluation in one file: tracking one per language would slow down planning."""
    named = [table.add_column(0, "name", pa.array([name] * len(table))) for name, table in tables.items()]
    with atomic(path) as part:
        # permissive: where nothing was mined in a language, its column has no type
        pq.write_table(pa.concat_tables(named, promote_options="permissive"), part, compression="zstd")


def read_predictions(result: Path) -> list[dict[str, Any]]:
    """Rows {id, prediction} that a result JSON was scored from, in the order of its data."""
    table = pq.read_table(result.with_name(PREDICTIONS), filters=[("name", "=", result.stem)])
    return table.select(["id", "prediction"]).to_pylist()


def gold_of(rows: list[dict], form: Format) -> list[Any]:
    """The right answers, one per row."""
    return list(range(len(rows))) if form.gold is None else [row[form.gold] for row in rows]


class _Predictor:
    """Loads the model when the first predictions are asked for: a fully cached run never imports torch."""

    def __init__(
        self, spec: PredictionSpec, model: Path, support: dict[str, Path], tokens: Path, fetch: Callable[[], None]
    ) -> None:
        self.spec, self.model, self.support, self.tokens, self.fetch = spec, model, support, tokens, fetch
        self.predict: Callable[[list[dict], str], list[Any]] | None = None

    def __call__(self, rows: list[dict], language: str) -> list[Any]:
        if self.predict is None:
            from intermezzo.evaluation.predict import predictor

            self.fetch()
            self.predict = predictor(self.spec, self.model, self.support, self.tokens)
        return self.predict(rows, language)
