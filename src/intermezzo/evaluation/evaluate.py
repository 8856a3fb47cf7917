"""Evaluate one model on one target in all its languages: predictions, then scores, one JSON per language.

Predictions are kept in a cache keyed by what they depend on (weights, data, code, settings). Adding a language
therefore predicts that language alone, and other metrics predict nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo.core import provenance, sealed
from intermezzo.core.artifacts import atomic, digest, sha256, write_json
from intermezzo.evaluation.metrics import item_scores, majority, score
from intermezzo.execution.trackers import log_scores
from intermezzo.modeling.folder import CONFIG, TOKENIZER, read_manifest
from intermezzo.modeling.tokenizer import subwords_per_word
from intermezzo.specs.evaluation import CodeStamps, EvaluateSpec
from intermezzo.specs.prediction import PredictionSpec
from intermezzo.tasks.formats import Format, load_format

if TYPE_CHECKING:
    from intermezzo.evaluation.predict import Predictor

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
    inputs: str = "",
    question: str = "",
    fetch: Callable[[], None] = lambda: None,
) -> None:
    """Score `model` (a model folder) on `data` (name -> Parquet) and write `outputs` (name -> JSON).

    A name is a language, or {language}.dev for its development data, which only serves to choose intermediates.
    support: language -> Parquet of what predictions need besides (mining: data to tune its threshold on; ranking: the
    candidates). Beside the JSONs are predictions.parquet (name, id, prediction, and of test data the score of each row,
    where a row can be scored) and, written last, manifest.json, which has the SHA-256 of each of these files: what
    changes one afterwards does not go unseen. names: keys that name the run, copied into each JSON. inputs: digest of
    what the model and the data were made with, and question: digest of the one that the experiment asks now, both for
    the manifest. fetch: called before the model's weights are read, which is only when there is something to predict.
    """
    prediction, task, form = spec.prediction, spec.prediction.task, load_format(spec.prediction.task.format)
    manifest = read_manifest(model)
    predictor = _Predictor(prediction, model, support, cache / "tokens", fetch)
    support_sha256 = {language: sha256(path) for language, path in support.items()}
    predicted, scored, tables, computed = [], [], {}, {}
    for name, path in data.items():
        language = name.removesuffix(".dev")
        made_from = {
            "weights_sha256": manifest["weights_sha256"],
            "heads_sha256": manifest.get("heads_sha256"),
            "config_sha256": manifest["files"].get(CONFIG),
            "tokenizer_sha256": manifest["files"].get(TOKENIZER),
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
        content = sealed.read(stored)
        if content is None:
            predicted.append(name)
            content = _parquet(predictor(rows, language, table["id"]))
            with sealed.write(stored) as part:
                part.write_bytes(content)
        tables[name], computed[name] = _with_record(pq.read_table(pa.BufferReader(content)))
        predictions, gold = tables[name]["prediction"].to_pylist(), gold_of(rows, form)
        if form.scored_by_item and name == language:
            scores = item_scores(task, predictions, gold, language, spec.metrics)
            tables[name] = tables[name].append_column("score", [scores])
        result = {
            "metrics": score(task, predictions, gold, language, spec.metrics),
            "majority": majority(task, rows, language, spec.metrics),
            "n": len(rows),
            "language": language,
            "split": "dev" if name != language else path.stem,
            "fertility": subwords_per_word(model, rows),
            "predictions_sha256": hashlib.sha256(content).hexdigest(),
            "scorer": code.score,
        }
        write_json(outputs[name], names | made_from | result)
        scored += [(name, key, value) for key, value in result["metrics"].items()]
    folder = next(iter(outputs.values())).parent
    write_predictions(tables, folder / provenance.PREDICTIONS)
    files = {path.name: sha256(path) for path in (*outputs.values(), folder / provenance.PREDICTIONS)}
    made_with = {"spec": spec.as_json(), "code": code.as_json(), "inputs": inputs, "computed": computed}
    made_with |= {provenance.QUESTION: question} if question else {}
    provenance.write_record(folder / provenance.MANIFEST, names | made_with | {"files": files})
    values = {f"{names.get('target', task.name)}/{name}/{key}": value for name, key, value in scored}
    log_scores(str(model), manifest.get("spec", {}), values)
    cached = [name for name in data if name not in predicted]
    log.info("predicted: %s; from the cache: %s", ", ".join(predicted) or "none", ", ".join(cached) or "none")


def _parquet(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue().to_pybytes()


def _with_record(table: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """Predictions from the cache, and the precision and the processor that they were made with."""
    record = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return table.replace_schema_metadata(None), record


def write_predictions(tables: dict[str, pa.Table], path: Path) -> None:
    """All predictions of an evaluation in one file: tracking one per language would slow down planning."""
    named = [table.add_column(0, "name", pa.array([name] * len(table))) for name, table in tables.items()]
    with atomic(path) as part:
        # permissive: where nothing was mined in a language, its column has no type
        pq.write_table(pa.concat_tables(named, promote_options="permissive"), part, compression="zstd")


def read_predictions(result: Path) -> list[dict[str, Any]]:
    """Rows {id, prediction} that a result JSON was scored from, in the order of its data.

    Raises UserError where they are not those that were scored.
    """
    path = result.with_name(provenance.PREDICTIONS)
    provenance.check(path, path.with_name(provenance.MANIFEST))
    table = pq.read_table(path, filters=[("name", "=", result.stem)])
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
        self.predict: Predictor | None = None

    def __call__(self, rows: list[dict], language: str, ids: pa.ChunkedArray) -> pa.Table:
        """Columns id and prediction, with what they were made with as the schema's metadata."""
        if self.predict is None:
            from intermezzo.evaluation.predict import predictor

            self.fetch()
            self.predict = predictor(self.spec, self.model, self.support, self.tokens)
        predictions = self.predict(rows, language)
        return pa.table({"id": ids, "prediction": predictions}, metadata=self.predict.computed)
