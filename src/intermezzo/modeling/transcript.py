"""Rows as an encoder reads them, as text: pieces with special tokens, and what is learned from them.

    id reviews.csv:2
      <s> ▁the ▁film ▁was ▁good </s>
      label: good

A mark stands where a target does: `▁dogs/NOUN` is a tagged word's first piece, `[[ ▁Lima ]]` is the answer. Rows become
features by the head that trains on them (`intermezzo.modeling.heads`), so nothing here says anew how inputs are made.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

from intermezzo.core.excerpt import excerpt
from intermezzo.modeling.heads import PAIR, PAIRS, Feature, format_module
from intermezzo.modeling.tokenizer import MASK
from intermezzo.specs.tasks import TaskSpec
from intermezzo.tasks.formats import Format, load_format
from intermezzo.tasks.formats.base import stands_at

_WIDTH = 110
_HAN = Regex(r"\p{Han}")
Row = dict[str, Any]


def transcript(rows: Sequence[Row], task: TaskSpec, tokenizer: Tokenizer, max_length: int, stride: int) -> list[str]:
    """Lines that show the rows, as inputs of at most `max_length` tokens (windows of a context overlap by `stride`)."""
    form, module = load_format(task.format), format_module(task.format)
    rows = [_located(row) for row in rows]
    if form.trained or form.masked:
        features = module.encode(list(rows), tokenizer, task.encoding(max_length, stride))
    else:
        features = _vectors(rows, form, tokenizer, max_length)
    lines = []
    for number, row in enumerate(rows):
        lines.append(f"id {row['id']}")
        for feature in features:
            if feature.row == number:
                lines += _inputs(feature, module.COLUMNS.get("target"), task.known_labels, tokenizer)
        lines += [f"  {line}" for line in _gold(row, form)]
    return lines


def _located(row: Row) -> Row:
    """The row with the offset -1 for answers that do not stand where it says."""
    if "answer_starts" not in row:
        return row
    places = zip(row["answers"], row["answer_starts"], strict=True)
    return row | {"answer_starts": [s if stands_at(answer, row["context"], s) else -1 for answer, s in places]}


def word_tokenizer(rows: Sequence[Row], form: Format) -> Tokenizer:
    """A stand-in for the tokenizer of an encoder that does not exist yet: words as pieces, in XLM-R's layout."""
    pieces = ["<s>", "</s>", "<unk>", MASK]
    texts = [text for row in rows for texts in form.model_inputs(row) for text in texts]
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), pre_tokenizers.Split(_HAN, "isolated")]
    )
    texts += [word for row in rows for word in row.get("tokens", ())]
    words = [word for text in texts for word, _ in split.pre_tokenize_str(text)]
    ids = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, *words]))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = split
    special = [(piece, ids[piece]) for piece in pieces[:2]]
    tokenizer.add_special_tokens(pieces)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=special
    )
    return tokenizer


def _vectors(rows: Sequence[Row], form: Format, tokenizer: Tokenizer, max_length: int) -> list[Feature]:
    """Sentences whose vectors are read off the encoder, each an input of its own."""
    tokenizer.enable_truncation(max_length)
    features = []
    for number, row in enumerate(rows):
        encodings = [tokenizer.encode(*texts) for texts in form.model_inputs(row)]
        features.append(Feature(number, [e.ids for e in encodings], [e.type_ids for e in encodings]))
    return features


def _inputs(feature: Feature, target_type: Any, labels: Sequence[str], tokenizer: Tokenizer) -> Iterator[str]:
    """The sequences of a feature, with marks where its target is."""
    for ids in feature.sequences:
        pieces = [_piece(tokenizer, int(token)) for token in ids]
        if target_type == PAIRS:
            for position, value in feature.target or ():
                pieces[position] += f"/{labels[value] if 0 <= value < len(labels) else '?'}"
        elif target_type == PAIR and tuple(feature.target) != (0, 0):
            first, last = feature.target
            pieces[first] = f"[[ {pieces[first]}"
            pieces[last] += " ]]"
        yield from textwrap.wrap(
            " ".join(pieces), _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip


def _piece(tokenizer: Tokenizer, token: int) -> str:
    """A piece as it is read: those of byte-level BPE as characters, where they are whole ones."""
    piece = tokenizer.id_to_token(token)
    if type(tokenizer.decoder).__name__ == "ByteLevel" and "�" not in (text := tokenizer.decoder.decode([piece])):
        return text.replace(" ", "▁")
    return piece


def _gold(row: Row, form: Format) -> Iterator[str]:
    """The right answer, where the inputs do not show it."""
    if form.gold is None:
        return
    value = row[form.gold]
    if form.gold == "answers":
        places = zip(value, row["answer_starts"], strict=True)
        texts = [f"{answer!r} {f'at character {s}' if s >= 0 else '(no right offset)'}" for answer, s in places]
        yield f"answers: {', '.join(texts) or 'none'}"
    elif form.gold == "label" and "choices" in row:
        yield f"label: {value} ({row['choices'][value]!r})"
    elif form.gold != "tags":
        yield f"{form.gold}: {value if isinstance(value, str) else excerpt(value)}"
