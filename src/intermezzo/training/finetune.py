"""Fine-tune an encoder on labelled tasks: the intermediate phase (several tasks, a mix) and the target phase (one).

Every phase starts with fresh heads and carries the encoder over (jiant's X-STILTs set-up, Phang et al. 2020). A batch
holds examples of one task; how often a task comes is the sampling. Tasks that come `in_turn` are trained on one after
the other, each with a schedule of its own; tasks of one head share it (XCOPA: SocialIQA, then COPA).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from intermezzo.core.artifacts import sha256, write_text
from intermezzo.core.errors import UserError
from intermezzo.core.folders import whole_folder
from intermezzo.execution.trackers import follow
from intermezzo.modeling.checks import check_text
from intermezzo.modeling.encoder import Encoder, environment, load_encoder, save_encoder
from intermezzo.modeling.finite import check_finite
from intermezzo.modeling.folder import ALLOCATION, HEADS, LOG, TOKENIZER, TOKENIZER_SETTINGS, check, write_manifest
from intermezzo.modeling.heads import Feature, format_module
from intermezzo.modeling.stored import occurring
from intermezzo.modeling.tokens import Tokens
from intermezzo.modeling.vocabulary import restrict
from intermezzo.specs.finetuning import ALIGNMENT, FinetuneSpec, TrainedTask, TrainingSettings
from intermezzo.tasks.controls import as_text, remove_input
from intermezzo.tasks.formats import MASKED_TEXT, load_format
from intermezzo.tasks.formats.base import FROM_DATA
from intermezzo.training import selection
from intermezzo.training.alignments import with_alignments
from intermezzo.training.batches import Batch, TaskBatches
from intermezzo.training.distributed import broadcast_from_main, is_main_process, launch
from intermezzo.training.loop import decay, device, record, resolve, state_folder, train, use_threads


def finetune(
    spec: FinetuneSpec,
    model: Path,
    data: dict[str, Path],
    out: Path,
    state: Path,
    code: str = "",
    tokens: Path | None = None,
    inputs: str = "",
) -> None:
    """Train `model` (a model folder) on the tasks of `spec` and write a model folder to `out`.

    data: "task/language" -> Parquet of the task's format. state: folder for what a killed training resumes. code:
    fingerprint of the code, for the manifest. tokens: folder of tokenised rows, None = tokenise them anew. inputs:
    digest of what the model and the data were made with, for the manifest.
    """
    launch(_finetune, spec.processes, spec, model, data, out, state, code, tokens, inputs)


def _finetune(
    spec: FinetuneSpec,
    model: Path,
    data: dict[str, Path],
    out: Path,
    state: Path,
    code: str,
    tokens: Path | None,
    inputs: str,
) -> None:
    use_threads(spec.threads)
    settings = spec.training
    tracked = follow(str(out), spec.as_json(), active=is_main_process())
    with state_folder(state) as work, tracked as run:
        log = work / LOG
        encoder = load_encoder(model, dropout=settings.dropout, max_length=settings.max_length)
        texts = {name: path for name, path in data.items() if not name.startswith(f"{ALIGNMENT}/")}
        tokenizer, unknown = Tokens(model, tokens), check_text(model, texts)
        torch.manual_seed(spec.seed)
        heads, features, ids, observed = nn.ModuleDict(), {}, {}, {}
        selected, allocation = selection.select(spec, data, partial(_lengths, tokenizer, settings))
        for task in spec.tasks:
            rows, form = selected[task.name], load_format(task.format)
            if task.labels == FROM_DATA:
                observed[task.head] = sorted({label for row in rows for label in form.labels_of(row)})
                task = task.replace(labels=tuple(observed[task.head]))
            if task.partial_input:
                rows = remove_input(rows, task.format, task.partial_input)
            if task.as_text:
                rows = as_text(rows, task.format)
            if task.align and task.align.from_files:
                rows = with_alignments(rows, task.name, data)
            module = _module(task)
            features[task.name] = tokenizer.encode(module, rows, task.encoding(settings.max_length, settings.stride))
            ids[task.name] = [row["id"] for row in rows]
            _check(features[task.name], task.name, ids[task.name], labelled="target" in module.COLUMNS)
            if task.head not in heads:
                heads[task.head] = head = module.Head(
                    encoder.hidden_size, task.head_spec(settings.pooling, settings.dropout)
                )
                if hasattr(head, "attach"):
                    head.attach(encoder, model)
            trained: Any = heads[task.head]
            if hasattr(trained, "prepare"):
                features[task.name] = broadcast_from_main(partial(trained.prepare, features[task.name], device()))
        if settings.freeze_embeddings:
            encoder.model.get_input_embeddings().weight.requires_grad_(False)
        restore = _restrict(encoder, heads, features, settings)
        system = nn.ModuleDict({"encoder": encoder, "heads": heads}).to(device())
        head_of = {task.name: task.head for task in spec.tasks}
        planned = stages({name: len(f) for name, f in features.items()}, spec)
        steps, remaining, precision = 0, 1.0, resolve(settings.precision, encoder.hidden_size)
        for number, plan_ in enumerate(planned):
            batches = TaskBatches(system, head_of, features, plan_, ids)
            name = spec.phase if len(planned) == 1 else f"{spec.phase} {number + 1}/{len(planned)}"
            state_file, keep = work / f"state{number}.pt", number + 1 < len(planned)
            loss = train(
                system, batches, len(plan_), settings,
                name=name, state=state_file, keep=keep, log=log, precision=precision, tracked=run,
            )  # fmt: skip
            steps += len(plan_)
            remaining *= decay(len(plan_), settings, _idle(plan_, heads, head_of))
        restore(remaining)
        if not is_main_process():
            return
        check_finite(system.state_dict(), spec.phase, settings.learning_rate)  # with the rows that `restore` put back
        log.touch()
        manifest = {
            "kind": spec.phase,
            "spec": spec.as_json(),
            "code": code,
            "inputs": inputs,
            "from_sha256": check(model, TOKENIZER, TOKENIZER_SETTINGS)["weights_sha256"],  # these are copied now
            "data_sha256": {key: sha256(path) for key, path in sorted(data.items())},
            "made_from": {"model": str(model), "data": {key: str(path) for key, path in sorted(data.items())}},
            "labels": observed,
            "unknown_pieces": unknown,
            "steps": steps,
            "loss": loss,
            "made_with": environment(),
            "computed": record(precision),
        }
        with whole_folder(out) as part:
            shutil.copyfile(log, part / LOG)
            save_encoder(encoder.model.cpu(), model, part)
            save_file({k: v.cpu().contiguous() for k, v in heads.state_dict().items()}, part / HEADS)
            write_text(part / ALLOCATION, selection.table(allocation))
            write_manifest(part, manifest)


def _lengths(tokenizer: Tokens, settings: TrainingSettings, task: TrainedTask, rows: list[dict[str, Any]]) -> list[int]:
    """Tokens that the encoder reads of each row, after cutting and in all its windows."""
    form = load_format(task.format)
    if task.labels == FROM_DATA:
        task = task.replace(labels=tuple(sorted({label for row in rows for label in form.labels_of(row)})))
    inputs = as_text(rows, task.format) if task.as_text else rows
    row_of = [i for i, row in enumerate(rows) for _ in (form.as_text(row) if task.as_text else (row,))]
    module = _module(task)
    counts = [0] * len(rows)
    for feature in tokenizer.encode(module, inputs, task.encoding(settings.max_length, settings.stride)):
        counts[row_of[feature.row]] += feature.tokens
    return counts


def _module(task: TrainedTask) -> ModuleType:
    """The module of the head that a task is trained with."""
    return format_module(ALIGNMENT if task.align else MASKED_TEXT if task.as_text else task.format)


def _idle(batches: list[Batch], heads: nn.ModuleDict, head_of: dict[str, str]) -> set[int]:
    """The steps whose head leaves the word embeddings as they are."""
    idle = {task for task, head in head_of.items() if not getattr(heads[head], "trains_embeddings", True)}
    return {step for step, (task, _) in enumerate(batches) if task in idle}


def _restrict(
    encoder: Encoder, heads: nn.ModuleDict, features: dict[str, Sequence[Feature]], settings: TrainingSettings
) -> Callable[[float], None]:
    """Train only the word embeddings that occur, unless a head's softmax runs over all of them or they are frozen."""
    if not settings.restrict_vocabulary or any(hasattr(head, "whole_vocabulary") for head in heads.values()):
        return lambda decay: None
    used = {0, encoder.padding}  # what fills a padded batch, of encoders that do not pack
    return restrict(encoder, used.union(*map(occurring, features.values())))


def _check(features: Sequence[Feature], task: str, ids: list[str], *, labelled: bool) -> None:
    """Raise UserError for what no loss can be taken of. labelled: whether each feature needs a target."""
    for feature in features:
        where = f"task '{task}', row '{ids[feature.row]}'"
        if not all(map(len, feature.sequences)):
            raise UserError(f"{where}: the encoder's tokenizer leaves nothing of it; take the row out of the data")
        if labelled and feature.target is None:
            raise UserError(f"{where}: no label; training data need one in every row")


def stages(sizes: dict[str, int], spec: FinetuneSpec) -> list[list[Batch]]:
    """The batches of each stage: all tasks together in one, or (sampling `in_turn`) a stage per task."""
    if spec.sampling != "in_turn":
        return [plan(sizes, spec)]
    return [plan({name: size}, spec) for name, size in sizes.items()]


def plan(sizes: dict[str, int], spec: FinetuneSpec) -> list[Batch]:
    """All batches of a run, in order: (task, indices of its features).

    sizes: task -> number of features. An epoch is as many examples as all tasks have, each counted up to `cap`.
    Tasks share them by `sampling`: proportional (to min(size, cap)), temperature (to that to the power 1/temperature)
    or uniform; within a task examples come in random order, each once before any comes again. `continued_mlm` puts
    batches of masked text between, as many as their share of all batches asks for.
    """
    settings, random = spec.training, np.random.default_rng([spec.seed, 3])
    text = {name: size for name, size in sizes.items() if name in spec.continued_mlm}
    sizes = {name: size for name, size in sizes.items() if name not in spec.continued_mlm}
    capped = {name: min(size, spec.cap or size) for name, size in sizes.items()}
    if not all(capped.values()):
        raise UserError(f"task '{min(capped, key=lambda name: capped[name])}': no training examples")
    powers = {"proportional": 1.0, "in_turn": 1.0, "uniform": 0.0, "temperature": 1.0 / spec.temperature}
    share = np.array([size ** powers[spec.sampling] for size in capped.values()])
    total = sum(capped.values()) * settings.epochs
    batches: list[Batch] = []
    for name, part in zip(capped, share / share.sum(), strict=True):
        batches += _batches(name, sizes[name], max(1, round(total * part)), settings.batch_size, random)
    labelled = len(batches)
    for name, size in text.items():
        count = round(labelled * spec.continued_mlm[name] / (1 - sum(spec.continued_mlm.values())))
        batches += _batches(name, size, count * settings.batch_size, settings.batch_size, random)
    if len(capped) == 1 and len(batches) == labelled:
        return batches
    return [batches[i] for i in random.permutation(len(batches))]


def _batches(name: str, size: int, examples: int, batch_size: int, random: np.random.Generator) -> list[Batch]:
    """So many of a task's examples, in random passes, cut into batches."""
    passes = [random.permutation(size) for _ in range(-(-examples // size))]
    order = np.concatenate(passes)[:examples] if passes else np.empty(0, int)
    return [(name, order[start : start + batch_size]) for start in range(0, examples, batch_size)]
