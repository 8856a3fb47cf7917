"""Answer one target in some languages by a prompted language model, and score the answers as all others are scored."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo.core import provenance
from intermezzo.core.artifacts import digest, sha256, write_json
from intermezzo.core.secrets import masked
from intermezzo.evaluation.evaluate import gold_of, write_predictions
from intermezzo.evaluation.metrics import item_scores, majority, score
from intermezzo.evaluation.prompted import answers
from intermezzo.evaluation.prompted.requests import Answer, Asker, Request
from intermezzo.specs.evaluation import CodeStamps
from intermezzo.specs.mixes import ENGLISH
from intermezzo.specs.prompting import LocalModel, PromptSpec
from intermezzo.tasks.formats import load_format

log = logging.getLogger(__name__)

REPORT_SECONDS = 10.0
COST = "cost"
"""Key of the manifest: tokens, seconds and money of all answers, also of those that an earlier run has paid."""


def evaluate(
    spec: PromptSpec,
    data: dict[str, Path],
    outputs: dict[str, Path],
    names: dict[str, Any],
    *,
    shots: Path | None,
    cache: Path,
    code: CodeStamps,
    inputs: str = "",
    question: str = "",
) -> None:
    """Answer `data` (language -> Parquet), score the answers and write `outputs` (language -> JSON).

    The files are those of `evaluation.evaluate.evaluate`. shots: English training data, where shots are asked for.
    cache: folder of all caches; answers are in `answers` there. Raises UserError for a model that
    cannot be had, and a server that gives no log-probabilities.
    """
    task, form = spec.task, load_format(spec.task.format)
    asker = Asker(spec, pq.read_table(shots).to_pylist() if shots else ())
    weights = _identity(spec)
    rows = {language: pq.read_table(path).to_pylist() for language, path in data.items()}
    asked = {language: [asker.requests(row, language) for row in rows[language]] for language in data}
    asking, tables, paid = _Asking(spec), {}, {}
    with answers.opened(cache / "answers", _cache_name(spec, weights)) as known:
        for language, path in data.items():
            requests = [request for of_row in asked[language] for request in of_row]
            asking.complete(known, requests, language)
            paid |= {request: known[request] for request in requests}
            read_in = ENGLISH if spec.translated else language
            predictions = [
                asker.prediction(row, [known[request] for request in of_row])
                for row, of_row in zip(rows[language], asked[language], strict=True)
            ]
            gold = gold_of(rows[language], form)
            ids = [row["id"] for row in rows[language]]
            tables[language] = pa.table({"id": ids, "prediction": predictions})
            if form.scored_by_item:
                items = item_scores(task, predictions, gold, read_in, spec.metrics)
                tables[language] = tables[language].append_column("score", [items])
            result = {
                "metrics": score(task, predictions, gold, read_in, spec.metrics),
                "majority": majority(task, rows[language], read_in, spec.metrics),
                "n": len(rows[language]),
                "language": language,
                "split": path.stem,
                "weights_sha256": weights,
                "data_sha256": sha256(path),
                "code": code.predict,
                "scorer": code.score,
                "spec": spec.as_json(),
            }
            write_json(outputs[language], names | result)
    folder = next(iter(outputs.values())).parent
    write_predictions(tables, folder / provenance.PREDICTIONS)
    files = {path.name: sha256(path) for path in (*outputs.values(), folder / provenance.PREDICTIONS)}
    made_with = {"spec": spec.as_json(), "code": code.as_json(), "inputs": inputs, "computed": asking.made_with}
    made_with |= {COST: (cost := _cost(spec, paid.values()))} | ({provenance.QUESTION: question} if question else {})
    provenance.write_record(folder / provenance.MANIFEST, names | made_with | {"files": files})
    money = f", {cost['money']:.4g} of money" if cost["money"] else ""
    log.info("%d tokens in, %d out, %.0f s%s", cost["input_tokens"], cost["output_tokens"], cost["seconds"], money)


class _Asking:
    """Asks what is not known yet. The model is loaded with the first question."""

    def __init__(self, spec: PromptSpec) -> None:
        self.spec = spec
        self.backend: Any = None

    @property
    def made_with(self) -> dict[str, str]:
        """What has answered in this process; nothing where all was known."""
        return dict(self.backend.made_with) if self.backend else {}

    def complete(self, known: answers.Answers, requests: Sequence[Request], language: str) -> None:
        """Add the answers that are missing to those that are known."""
        missing = {request for request in requests if request not in known}
        number = len(set(requests))
        log.info("%s: %d questions, %d answered by earlier runs", language, number, number - len(missing))
        if not missing:
            return
        self.backend = self.backend or _backend(self.spec)
        began = reported = time.monotonic()
        done = 0
        for pairs in self.backend.answer(requests, missing):
            known.add(pairs)
            done += len(pairs)
            now = time.monotonic()
            if now - reported > REPORT_SECONDS:
                reported, remaining = now, (now - began) / done * (len(missing) - done)
                log.info("%s: answer %d/%d, %.0f s left", language, done, len(missing), remaining)


def _backend(spec: PromptSpec) -> Any:
    """What answers. transformers is imported where a model is loaded, and only if there is something to ask."""
    if isinstance(spec.model, LocalModel):
        from intermezzo.evaluation.prompted.local import Local

        return Local(spec.model, spec.answer_tokens, spec.threads)
    from intermezzo.evaluation.prompted.server import Server

    return Server(spec.model, spec.answer_tokens)


def _identity(spec: PromptSpec) -> str:
    """What stands for the weights: a hash of files, or of a name where they are a server's or the hub's."""
    if isinstance(spec.model, LocalModel):
        from intermezzo.evaluation.prompted.local import identity

        return identity(spec.model)
    return digest([masked(spec.model.server), spec.model.model], 64)


def _cache_name(spec: PromptSpec, weights: str) -> str:
    """A digest of all that an answer depends on besides its request: one file of answers for each target and seed, so
    that jobs of one model do not wait for each other."""
    model = spec.model
    local = [model.max_length, model.batch_size] if isinstance(model, LocalModel) else []
    return digest([weights, local, spec.answer_tokens, spec.task.name, spec.seed], 32)


def _cost(spec: PromptSpec, paid: Iterable[Answer]) -> dict[str, float]:
    """Of every answer once: tokens, seconds, and money by the prices of the configuration."""
    paid, price = list(paid), spec.price
    tokens = [sum(answer.input_tokens for answer in paid), sum(answer.output_tokens for answer in paid)]
    seconds = math.fsum(answer.seconds for answer in paid)
    money = (tokens[0] * price.input + tokens[1] * price.output) / 1e6 + seconds * price.hour / 3600
    return {"input_tokens": tokens[0], "output_tokens": tokens[1], "seconds": seconds, "money": money}
