"""Translation by a sequence-to-sequence model (NLLB, M2M-100, MADLAD, Marian, ...) through transformers.

Texts are translated in batches that depend on the texts alone, and each finished batch is kept: an interrupted
translation goes on with the batch that it was at, and ends with the same rows.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from intermezzo.core.artifacts import digest
from intermezzo.core.errors import UserError
from intermezzo.specs.translation import HubTranslation
from intermezzo.tasks import Task
from intermezzo.tasks.formats import Format, Passage, format_names, load_format
from intermezzo.translation.spans import marked, recovered, sentences

Row = dict[str, Any]
REPORT_SECONDS = 10.0
log = logging.getLogger(__name__)


def translate(rows: list[Row], task: Task, spec: HubTranslation) -> list[Row]:
    """Rows with every text translated; of spans only those whose answer is found again.

    Raises UserError for tagging, whose labels would lose their words, and for scored rows whose answers are text.
    """
    if spec.split != "train" and task.form.answers_in_text:
        raise UserError(
            f"task '{task.name}' ({task.format}): a model may lose answers in its translation, and test data without "
            "their rows are another test set; take backend files, or leave out translate_test"
        )
    if not task.form.translatable:
        formats = ", ".join(name for name in format_names() if load_format(name).translatable)
        raise UserError(
            f"task '{task.name}' ({task.format}): a model cannot translate it, as labels would lose their words; "
            f"what can be translated: {formats}"
        )
    pieces = [piece for row in rows for text in task.form.texts(row) for piece in _pieces(text)]
    translations = _translated(list(dict.fromkeys(piece for piece in pieces if piece.strip())), spec)
    translated = (_row(row, task.form, translations) for row in rows)
    return [row for row in translated if row is not None]


def _pieces(text: str | Passage) -> list[str]:
    """What is translated at a time: a text whole, a passage sentence by sentence, its answer between marks."""
    return [text] if isinstance(text, str) else sentences(marked(text))


def _row(row: Row, form: Format, translations: dict[str, str]) -> Row | None:
    """The translated row; None where an answer was lost."""
    texts: list[str | Passage] = []
    for text in form.texts(row):
        translation = " ".join(translations[piece] if piece.strip() else piece for piece in _pieces(text))
        if isinstance(text, Passage):
            passage = recovered(text, translation)
            if passage is None:
                return None
            texts.append(passage)
        else:
            texts.append(translation)
    return form.translated(row, texts)


def _translated(texts: list[str], spec: HubTranslation) -> dict[str, str]:
    """Text -> translation, with what an earlier run has finished."""
    settings = spec.model_dump(include={"model", "revision", "code", "english", "beams", "max_length"})
    settings |= {} if spec.split == "train" else {"into": spec.into}
    store = _Store(Path(spec.cache), digest(settings, 32))
    batches = list(_batches(texts, spec.batch_size))
    missing = [batch for batch in batches if digest(batch, 32) not in store.finished]
    generate = _generator(spec) if missing else None
    began = reported = time.monotonic()
    for done, batch in enumerate(missing, start=1):
        store.add(digest(batch, 32), generate(batch))
        now = time.monotonic()
        if now - reported > REPORT_SECONDS:
            reported, remaining = now, (now - began) / done * (len(missing) - done)
            log.info("translate: batch %d/%d, %.0f s left", done, len(missing), remaining)
    translations: dict[str, str] = {}
    for batch in batches:
        translations |= zip(batch, store.finished[digest(batch, 32)], strict=True)
    return translations


def _batches(texts: list[str], size: int) -> Iterator[list[str]]:
    """Texts of similar length together; which ones is a matter of the texts alone."""
    ordered = sorted(texts, key=lambda text: (len(text), text))
    for begin in range(0, len(ordered), size):
        yield ordered[begin : begin + size]


class _Store:
    """Finished batches in a file of JSON lines, each with a digest of itself and of the settings (`key`).

    A line that a kill cut off, that was changed or that is of other settings counts as missing; the log says so.
    """

    def __init__(self, folder: Path, key: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.key = folder / f"{key}.jsonl", key
        self.finished: dict[str, list[str]] = {}
        unusable = 0
        for line in filter(None, self.path.read_bytes().splitlines() if self.path.is_file() else ()):
            try:
                entry = json.loads(line)
                if entry["seal"] != self._seal(entry["batch"], entry["translations"]):
                    raise ValueError("another seal")
                self.finished[entry["batch"]] = entry["translations"]
            except (ValueError, KeyError, TypeError):
                unusable += 1
        if unusable:
            log.warning("%s: %d batches are damaged or not of these settings; made again", self.path, unusable)

    def _seal(self, batch: str, translations: list[str]) -> str:
        return digest([self.key, batch, translations], 32)

    def add(self, batch: str, translations: list[str]) -> None:
        entry = {"batch": batch, "translations": translations, "seal": self._seal(batch, translations)}
        line = "\n" + json.dumps(entry, ensure_ascii=False) + "\n"
        with open(self.path, "ab") as file:  # one write: lines of two jobs do not mix
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self.finished[batch] = translations


def _generator(spec: HubTranslation) -> Any:
    """A function from a batch of texts to their translations.

    Translators of many languages are published as pickles (NLLB). Of such a file torch reads tensors alone and runs
    nothing (`weights_only`); where there are safetensors, these are read.
    """
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    from intermezzo.training.loop import device, use_threads

    use_threads(spec.threads)
    where = {"revision": spec.revision or "main", "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(spec.model, **where)
        model = AutoModelForSeq2SeqLM.from_pretrained(spec.model, weights_only=True, **where)
    except (OSError, ValueError, UnpicklingError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(
            f"translation.model '{spec.model}' (revision {spec.revision}) cannot be read: {first}\n"
            "  allowed: a sequence-to-sequence model, a folder or a name on the hub"
        ) from None
    if not _has_safetensors(spec.model, where["revision"]):
        log.warning("translation.model '%s' has no safetensors: tensors alone were read of its pickle", spec.model)
    model = model.to(device()).eval()
    forced = _target(tokenizer, spec)

    @torch.inference_mode()
    def generate(batch: list[str]) -> list[str]:
        inputs = tokenizer(batch, return_tensors="pt", padding=True, truncation=True, max_length=spec.max_length)
        settings = {"num_beams": spec.beams, "do_sample": False, "max_new_tokens": spec.max_length} | forced
        tokens = model.generate(**inputs.to(model.device), **settings)
        return [text.strip() for text in tokenizer.batch_decode(tokens, skip_special_tokens=True)]

    return generate


def _has_safetensors(model: str, revision: str) -> bool:
    """Whether a model that was read, of a folder or from the cache of the hub, has its weights as safetensors."""
    from huggingface_hub import try_to_load_from_cache

    if Path(model).is_dir():
        return any(Path(model).glob("*.safetensors"))
    names = ("model.safetensors", "model.safetensors.index.json")
    return any(isinstance(try_to_load_from_cache(model, name, revision=revision), str) for name in names)


def _target(tokenizer: Any, spec: HubTranslation) -> dict[str, int]:
    """Tell a many-to-many model its languages; one of a single pair (Marian) has none to be told."""
    into = getattr(tokenizer, "target_lang", None)
    if spec.split != "train" and isinstance(into, str) and not into.lower().startswith("en"):
        raise UserError(
            f"translation.model '{spec.model}' translates into '{into}', and translate_test needs a model that "
            "translates into English"
        )
    if not hasattr(tokenizer, "src_lang"):
        return {}
    source, target = (spec.english, spec.code) if spec.split == "train" else (spec.code, spec.english)
    ids = {}
    for code, key in ((source, "source"), (target, "target")) if spec.split != "train" else ((target, "target"),):
        ids[key] = tokenizer.convert_tokens_to_ids(code)
        if ids[key] is None or ids[key] == tokenizer.unk_token_id:
            name = "english" if code == spec.english else "languages"
            raise UserError(f"translation.{name}: the model '{spec.model}' knows no language '{code}'")
    tokenizer.src_lang = source
    return {"forced_bos_token_id": ids["target"]}
