"""Pretrain an encoder from scratch: a tokenizer, then masked language modelling over several languages.

XLM-R's recipe at small size (Conneau et al. 2020): one BPE vocabulary, languages drawn by n**alpha, 80/10/10
masking; logits are computed at masked positions only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.nn.functional import cross_entropy
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

from intermezzo.artifacts import sha256, write_json
from intermezzo.modeling.encoder import Encoder, environment, save_encoder
from intermezzo.modeling.packing import pack
from intermezzo.modeling.tokenizer import MASK, SPECIAL, load_tokenizer, train_tokenizer
from intermezzo.training.cooccurrence import cooccurrence_embeddings
from intermezzo.training.loop import device, state_folder, train, use_threads


def pretrain(
    spec: dict[str, Any], text: dict[str, Path], parallel: dict[str, Path], out: Path, state: Path, code: str = ""
) -> None:
    """Train a tokenizer and an encoder on `text` (language -> Parquet of format mlm) and write the model folder.

    spec: see docs/configuration.md, encoders. `training.steps` 0 gives the untrained encoder: the control without
    pretraining. `initialisation: cooccurrence` starts the embeddings from `parallel` (language -> Parquet of aligned
    sentences).
    """
    use_threads(spec["threads"])
    with state_folder(state) as work:
        out.mkdir(parents=True, exist_ok=True)
        log = out / "log.jsonl"
        rows = {language: pq.read_table(path).to_pylist() for language, path in sorted(text.items())}
        segments = (s for part in rows.values() for row in part for s in (row["text"], row["text_pair"]) if s)
        vocabulary = train_tokenizer(segments, out, **spec["tokenizer"])
        model = _model(spec, vocabulary)
        if spec["initialisation"] == "cooccurrence":
            vectors = cooccurrence_embeddings(parallel, load_tokenizer(out), spec["model"]["hidden_size"], spec["seed"])
            with torch.no_grad():
                model.roberta.embeddings.word_embeddings.weight.copy_(vectors)
        loss = None
        if steps := spec["training"]["steps"]:
            model.to(device())
            loss_of = _masked_lm(model, spec, rows, out)
            loss = train(model, loss_of, steps, spec["training"], state=work / "state.pt", log=log, name="pretrain")
        log.touch()
        weights = save_encoder(model.cpu(), out, out)
        data = {
            f"{kind}/{lang}": sha256(p) for kind, d in (("text", text), ("parallel", parallel)) for lang, p in d.items()
        }
        write_json(
            out / "manifest.json",
            {
                "kind": "encoder",
                "spec": spec,
                "code": code,
                "weights_sha256": weights,
                "data_sha256": data,
                "parameters": sum(p.numel() for p in model.parameters()),
                "loss": loss,
                "made_with": environment(),
            },
        )


def _model(spec: dict[str, Any], vocabulary: int) -> XLMRobertaForMaskedLM:
    """XLM-R's architecture with random weights; dropout 0, as at this size nothing is memorised."""
    shape = spec["model"]
    torch.manual_seed(spec["seed"])
    return XLMRobertaForMaskedLM(
        XLMRobertaConfig(
            vocab_size=vocabulary,
            hidden_size=shape["hidden_size"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            intermediate_size=shape["intermediate_size"],
            max_position_embeddings=shape["max_length"] + 2,  # positions start after the padding id 1
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            type_vocab_size=1,
            bos_token_id=0,
            pad_token_id=1,
            eos_token_id=2,
            tie_word_embeddings=True,
        )
    )


def _texts(rows: list[dict]) -> list[str | tuple[str, str]]:
    return [(row["text"], row["text_pair"]) if row["text_pair"] else row["text"] for row in rows]


def _masked_lm(model: XLMRobertaForMaskedLM, spec: dict[str, Any], rows: dict[str, list[dict]], folder: Path):
    """The loss of step k: batch and masks are drawn from (seed, k)."""
    tokenizer = load_tokenizer(folder)
    tokenizer.enable_truncation(spec["model"]["max_length"])
    ids = {language: [np.array(e.ids) for e in tokenizer.encode_batch(_texts(part))] for language, part in rows.items()}
    languages = sorted(ids)
    share = np.array([len(ids[language]) for language in languages], float) ** spec["language_alpha"]
    steps, batch_size = spec["training"]["steps"], spec["training"]["batch_size"]
    draws = np.random.default_rng([spec["seed"], 1])
    drawn = draws.choice(len(languages), size=steps * batch_size, p=share / share.sum())
    documents = np.empty_like(drawn)
    for i, language in enumerate(languages):
        at = np.flatnonzero(drawn == i)
        passes = -(-len(at) // len(ids[language]))
        orders = [draws.permutation(len(ids[language])) for _ in range(passes)]
        documents[at] = np.concatenate(orders)[: len(at)] if passes else []
    mask_id, ordinary = tokenizer.token_to_id(MASK), len(SPECIAL)
    encoder = Encoder(model.roberta)

    def loss_of(step: int) -> tuple[torch.Tensor, int]:
        random = np.random.default_rng([spec["seed"], 2, step])
        span = slice(step * batch_size, (step + 1) * batch_size)
        batch = [ids[languages[i]][j] for i, j in zip(drawn[span], documents[span], strict=True)]
        packed = pack([d.tolist() for d in batch], [[0] * len(d) for d in batch])
        tokens = packed.tokens.numpy()
        chosen = np.flatnonzero((tokens >= ordinary) & (random.random(len(tokens)) < spec["mask_rate"]))
        if not len(chosen):
            chosen = np.flatnonzero(tokens >= ordinary)[:1]
        gold = torch.from_numpy(tokens[chosen].copy()).to(device())
        how = random.random(len(chosen))
        tokens[chosen[how < 0.8]] = mask_id
        replaced = chosen[how >= 0.9]
        tokens[replaced] = random.integers(ordinary, mask_id, len(replaced))
        states = encoder(packed.to(device()))
        logits = model.lm_head(states[torch.from_numpy(chosen).to(device())])
        return cross_entropy(logits, gold), len(tokens)

    return loss_of
