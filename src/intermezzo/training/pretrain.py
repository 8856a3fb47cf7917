"""Pretrain an encoder from scratch: a tokenizer, then masked language modelling over several languages.

XLM-R's recipe at small size (Conneau et al. 2020): one BPE vocabulary, languages drawn by n**alpha, 80/10/10
masking; logits are computed at masked positions only.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.nn.functional import cross_entropy
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

from intermezzo.core.artifacts import sha256
from intermezzo.core.folders import whole_folder
from intermezzo.execution.trackers import follow
from intermezzo.modeling.encoder import Encoder, environment, save_encoder
from intermezzo.modeling.folder import LOG, write_manifest
from intermezzo.modeling.heads import to_device, to_float32
from intermezzo.modeling.kernels import use_bfloat16
from intermezzo.modeling.masking import mask_tokens
from intermezzo.modeling.packing import Packed, pack
from intermezzo.modeling.tokenizer import MASK, SPECIAL, load_tokenizer, train_tokenizer
from intermezzo.specs.pretraining import PretrainSpec
from intermezzo.training.cooccurrence import cooccurrence_embeddings
from intermezzo.training.distributed import broadcast_from_main, is_main_process, launch
from intermezzo.training.loop import device, record, resolve, state_folder, train, use_threads


def pretrain(
    spec: PretrainSpec,
    text: dict[str, Path],
    parallel: dict[str, Path],
    out: Path,
    state: Path,
    code: str = "",
    inputs: str = "",
) -> None:
    """Train a tokenizer and an encoder on `text` (language -> Parquet of format mlm) and write the model folder.

    `training.steps` 0 gives the untrained encoder: the control without pretraining. `initialisation: cooccurrence`
    starts the embeddings from `parallel` (language -> Parquet of aligned sentences). state: folder for what a killed
    training resumes. For the manifest: code, the fingerprint of the code, and inputs, a digest of what the data were
    made with.
    """
    launch(_pretrain, spec.processes, spec, text, parallel, out, state, code, inputs)


def _pretrain(
    spec: PretrainSpec,
    text: dict[str, Path],
    parallel: dict[str, Path],
    out: Path,
    state: Path,
    code: str,
    inputs: str,
) -> None:
    use_threads(spec.threads)
    tracked = follow(str(out), spec.as_json(), active=is_main_process())
    with state_folder(state) as work, tracked as run:
        log = work / LOG
        rows = {language: pq.read_table(path).to_pylist() for language, path in sorted(text.items())}
        segments = (s for part in rows.values() for row in part for s in (row["text"], row["text_pair"]) if s)
        vocabulary = broadcast_from_main(lambda: train_tokenizer(segments, work, **spec.tokenizer.model_dump()))
        model = _model(spec, vocabulary)
        if spec.initialisation == "cooccurrence" and is_main_process():
            vectors = cooccurrence_embeddings(parallel, load_tokenizer(work), spec.model.hidden_size, spec.seed)
            with torch.no_grad():
                model.roberta.embeddings.word_embeddings.weight.copy_(vectors)
        loss, precision = None, resolve(spec.training.precision, spec.model.hidden_size)
        if steps := spec.training.steps:
            model.to(device())
            batches, state_file = _MaskedText(model, spec, rows, work), work / "state.pt"
            loss = train(
                model, batches, steps, spec.training,
                state=state_file, log=log, name="pretrain", precision=precision, tracked=run,
            )  # fmt: skip
        if not is_main_process():
            return
        log.touch()
        data = {
            f"{kind}/{lang}": sha256(p) for kind, d in (("text", text), ("parallel", parallel)) for lang, p in d.items()
        }
        manifest = {
            "kind": "encoder",
            "spec": spec.as_json(),
            "code": code,
            "inputs": inputs,
            "data_sha256": data,
            "parameters": sum(p.numel() for p in model.parameters()),
            "loss": loss,
            "made_with": environment(),
            "computed": record(precision),
        }
        with whole_folder(out) as part:
            shutil.copyfile(log, part / LOG)
            save_encoder(model.cpu(), work, part)
            write_manifest(part, manifest)


def _model(spec: PretrainSpec, vocabulary: int) -> XLMRobertaForMaskedLM:
    """XLM-R's architecture with random weights; dropout 0, as at this size nothing is memorised."""
    shape = spec.model
    torch.manual_seed(spec.seed)
    return XLMRobertaForMaskedLM(
        XLMRobertaConfig(
            vocab_size=vocabulary,
            hidden_size=shape.hidden_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.intermediate_size,
            max_position_embeddings=shape.max_length + 2,  # positions start after the padding id 1
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            type_vocab_size=1,
            bos_token_id=0,
            pad_token_id=1,
            eos_token_id=2,
            tie_word_embeddings=True,
        )
    )


def _texts(rows: list[dict[str, Any]]) -> list[str | tuple[str, str]]:
    return [(row["text"], row["text_pair"]) if row["text_pair"] else row["text"] for row in rows]


@dataclass(frozen=True)
class _Document:
    """A document with tokens masked: ids as the encoder sees them, and (place, right token) of what is predicted."""

    tokens: list[int]
    target: list[tuple[int, int]]


class _MaskedText:
    """Batches of masked text: those of step k, and the masks, are drawn from (seed, k)."""

    def __init__(
        self, model: XLMRobertaForMaskedLM, spec: PretrainSpec, rows: dict[str, list[dict[str, Any]]], folder: Path
    ) -> None:
        self.model, self.encoder, self.spec = model, Encoder(model.roberta), spec
        use_bfloat16(model.lm_head)
        tokenizer = load_tokenizer(folder)
        tokenizer.enable_truncation(spec.model.max_length)
        self.ids = {lang: [e.ids for e in tokenizer.encode_batch(_texts(part))] for lang, part in rows.items()}
        self.mask = tokenizer.get_vocab()[MASK]
        self.languages = sorted(self.ids)
        share = np.array([len(self.ids[language]) for language in self.languages], float) ** spec.language_alpha
        count = spec.training.steps * spec.training.batch_size
        draws = np.random.default_rng([spec.seed, 1])
        self.drawn = draws.choice(len(self.languages), size=count, p=share / share.sum())
        self.documents = np.empty_like(self.drawn)
        for i, language in enumerate(self.languages):
            places = np.flatnonzero(self.drawn == i)
            passes = -(-len(places) // len(self.ids[language]))
            orders = [draws.permutation(len(self.ids[language])) for _ in range(passes)]
            self.documents[places] = np.concatenate(orders)[: len(places)] if passes else []

    def _batch(self, step: int) -> list[tuple[str, int]]:
        """(language, index of the document) of each document of a step."""
        size = self.spec.training.batch_size
        span = slice(step * size, (step + 1) * size)
        return [(self.languages[i], j) for i, j in zip(self.drawn[span], self.documents[span], strict=True)]

    def items(self, step: int) -> list[_Document]:
        """The documents of a step with their tokens masked."""
        random = np.random.default_rng([self.spec.seed, 2, step])
        batch = [self.ids[language][j] for language, j in self._batch(step)]
        packed, ordinary = _packed(batch), len(SPECIAL)
        tokens, ids = packed.tokens.numpy(), packed.tokens.clone().numpy()
        words, rate = np.arange(ordinary, self.mask), self.spec.mask_rate
        positions = mask_tokens(tokens, tokens >= ordinary, rate=rate, mask=self.mask, replacements=words, rng=random)
        gold = dict(zip(positions.tolist(), ids[positions].tolist(), strict=True))
        documents = []
        for start, document in zip(packed.begins, batch, strict=True):
            places = [(place, gold[start + place]) for place in range(len(document)) if start + place in gold]
            documents.append(_Document(tokens[start : start + len(document)].tolist(), places))
        return documents

    def size(self, item: _Document) -> int:
        """Tokens of a document."""
        return len(item.tokens)

    def weight(self, step: int, items: Sequence[_Document]) -> int:
        """Predictions, over which the loss is a mean."""
        return sum(len(item.target) for item in items)

    def outputs(self, step: int, items: Sequence[_Document]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the masked tokens, in the order in which they lie in the packed batch, and the right tokens."""
        packed = _packed([item.tokens for item in items])
        starts = zip(packed.begins, items, strict=True)
        targets = sorted((start + place, token) for start, item in starts for place, token in item.target)
        positions, gold = to_device(device(), targets).T
        return self.model.lm_head(self.encoder(packed.to(device()), rows=positions)[positions]), gold

    def loss(self, step: int, outputs: tuple[torch.Tensor, torch.Tensor], items: Sequence[_Document]) -> torch.Tensor:
        """The mean cross-entropy of the masked tokens."""
        logits, gold = outputs
        return cross_entropy(to_float32(logits), gold)

    def joint(self, step: int) -> bool:
        """Whether the loss compares documents with each other."""
        return False

    def rows(self, step: int, item: _Document) -> int:
        """Predictions of a document."""
        return len(item.target)

    def names(self, step: int) -> str:
        """What a message calls a step's batch."""
        return "of documents " + ", ".join(f"{language} {j}" for language, j in self._batch(step))


def _packed(documents: Sequence[list[int]]) -> Packed:
    return pack(documents, [[0] * len(document) for document in documents])
