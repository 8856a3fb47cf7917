"""Realignment: the encoder's states of a sentence and of its English translation are brought together.

    loss = contrast(sentences) + contrast(words) + regulariser * distance(English states, those before training)
    contrast(x, y) = (CE(x y'/t) + CE(y x'/t)) / 2, over vectors of length 1: the right pair is on the diagonal

Each sentence of a batch must find its own translation among all of the batch, and each English one its own (InfoNCE in
both directions); words likewise, among all words of the batch that have a partner. A sentence is the mean of its
tokens' states, a word that of its own. Sentences and words that are the same as the right one are no wrong answers.
Which words belong together is read from a file, or found by a frozen copy of the encoder as it was: two words, each of
which is the other's nearest one in cosine. The regulariser keeps the states of English tokens near those of the frozen
copy: the squared distance relative to the squared length, as a mean over tokens and sentences (Cao, Kitaev & Klein 2020
keep English in place in the same way, arXiv 2002.03518).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from intermezzo.core.errors import UserError
from intermezzo.modeling.encoder import Encoder, load_encoder
from intermezzo.modeling.heads import NUMBERS, PAIRS, Feature, to_device, to_float32
from intermezzo.modeling.packing import pack
from intermezzo.specs.encoding import EncodingSpec
from intermezzo.specs.finetuning import AlignmentHead

COLUMNS = {"words": NUMBERS, "words_pair": NUMBERS, "alignment": PAIRS}
BATCH = 32
"""Pairs of sentences whose words are matched at a time."""
PIECES_PER_WORD = 8
"""A text with more pieces per word than this on average is written without spaces: each piece counts as a word."""
WordPair = tuple[list[int], list[int]]
"""The tokens of a word in the sentence, and those of its partner in the English one."""


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per row, with two sequences: the sentence and its English translation.

    extra: of each token the word that it is of (words stand between spaces; -1 = none); `alignment`, the pairs of words
    that the row brings, if it brings any.
    """
    tokenizer.enable_truncation(spec.max_length)
    features = []
    for i, row in enumerate(rows):
        texts = [row["text"], row["text_pair"]]
        parts = tokenizer.encode_batch(texts)
        words = [_words(text, part) for text, part in zip(texts, parts, strict=True)]
        alignment = [tuple(pair) for pair in row.get("alignment", ())]
        extra = {"words": words[0], "words_pair": words[1], "alignment": alignment}
        features.append(Feature(i, [part.ids for part in parts], [part.type_ids for part in parts], None, extra))
    return features


def _words(text: str, encoding: Encoding) -> list[int]:
    """Of each token the index of its word, -1 of special tokens and of those that are nothing but spaces."""
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    words = []
    for (begin, end), special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True):
        inside = next((place for place in range(begin, end) if not text[place].isspace()), None)
        words.append(-1 if special or inside is None else bisect_right(starts, inside) - 1)
    return words


class Head(nn.Module):
    """The losses, without a weight of their own, and the frozen copy of the encoder. `attach` it before use."""

    joint = True  # a sentence is compared with those of the whole batch

    def __init__(self, hidden_size: int, spec: AlignmentHead) -> None:
        super().__init__()
        self.align = spec.align
        self.fixed: frozenset[str] = frozenset()  # names of the encoder's weights that pairs do not change
        self.start: list[Encoder] = []  # the frozen copy; in a list, as it is neither saved nor trained

    def attach(self, encoder: Encoder, folder: Path) -> None:
        """Choose the weights that are trained, and read the encoder as it was, where it is needed.

        Raises UserError for layers that the encoder does not have, and where no trained weight reaches the loss.
        """
        depth = encoder.config.num_hidden_layers
        for key, layer in (("layer", self.align.layer), ("match_layer", self.align.match_layer)):
            if layer is not None and layer > depth:
                raise UserError(f"align.{key}: {layer}, but the encoder has {depth} layers (0 = embeddings)")
        if self.align.layers != "all":
            self.fixed = frozenset(other_half(encoder, self.align.layers, self.align.layer))
        if self.align.regulariser or self.align.matches:
            self.start = [load_encoder(folder, dropout=0.0).requires_grad_(False).eval()]

    @property
    def trains_embeddings(self) -> bool:
        """Whether pairs change the word embeddings."""
        return self.align.layers != "upper"

    def prepare(self, features: Sequence[Feature], device: torch.device) -> list[Feature]:
        """The features with `pairs`, the words that belong together, where the loss compares words."""
        if self.align.level == "sentence":
            return list(features)
        prepared = []
        for begin in range(0, len(features), BATCH):
            part = [features[i] for i in range(begin, min(begin + BATCH, len(features)))]
            pairs = self._matches(part, device) if self.align.matches else map(_given, part)
            prepared += [
                Feature(f.row, f.sequences, f.types, None, {"pairs": words})
                for f, words in zip(part, pairs, strict=True)
            ]
        return prepared

    def rows(self, feature: Feature) -> int:
        """Rows of the outputs that a feature has: two sentences, and two words for each pair of words."""
        return 2 + 2 * len(feature.extra.get("pairs", ()))

    def read(self, encoder: Encoder, features: list[Feature], device: torch.device) -> torch.Tensor:
        """Vectors (R, H + 1): of each feature its sentence, the English one, and the words of its pairs in turn.

        The last column holds, in the row of the English sentence, how far its states are from those before training.
        """
        packed = pack([s for f in features for s in f.sequences], [t for f in features for t in f.types])
        spans = [range(begin, begin + len(s)) for begin, s in zip(packed.begins, _sequences(features), strict=True)]
        segments: list[Iterable[int]] = []
        for number, feature in enumerate(features):
            sides = spans[2 * number], spans[2 * number + 1]
            segments += sides
            for pair in feature.extra.get("pairs", ()):
                segments += [[side[i] for i in tokens] for side, tokens in zip(sides, pair, strict=True)]
        with self._fixed(encoder):
            states = to_float32(encoder(packed.to(device), layer=self.align.layer))
        distance = torch.zeros(len(segments), device=device, dtype=states.dtype)
        if self.align.regulariser:
            first = [0, *accumulate(map(self.rows, features))][:-1]
            english = to_device(device, [row + 1 for row in first])
            tokens = to_device(device, [i for span in spans[1::2] for i in span])
            distance = distance.index_copy(0, english, self._distance(states[tokens], features, device))
        return torch.cat([means(states, segments), distance[:, None]], dim=1)

    def loss(self, outputs: torch.Tensor, features: list[Feature]) -> torch.Tensor:
        """The contrasts of the level, and the regulariser, of vectors as `read` gives them."""
        vectors = normalize(outputs[:, :-1], dim=-1)
        left, right = vectors[0::2], vectors[1::2]
        first = [0, *accumulate(self.rows(f) // 2 for f in features)][:-1]
        sentences = to_device(outputs.device, first)
        loss = self.align.regulariser * outputs[1::2, -1][sentences].mean()
        if self.align.level != "word":
            keys = [tuple(map(_key, f.sequences)) for f in features]
            loss = loss + contrast(left[sentences], right[sentences], keys, self.align.temperature)
        pairs = [row for row in range(len(left)) if row not in {*first}]
        if self.align.level != "sentence" and pairs:
            words, keys = to_device(outputs.device, pairs), [key for f in features for key in _word_keys(f)]
            loss = loss + contrast(left[words], right[words], keys, self.align.temperature)
        return loss

    def _distance(self, states: torch.Tensor, features: list[Feature], device: torch.device) -> torch.Tensor:
        """(N,): of each English sentence the mean over tokens of |h - start|^2 / |start|^2. states: in their order."""
        sentences = [f.sequences[1] for f in features]
        before = self._states(sentences, [f.types[1] for f in features], self.align.layer, device)
        relative = (states - before).square().sum(-1) / before.square().sum(-1)
        bounds = [0, *accumulate(map(len, sentences))]
        return means(relative[:, None], [range(*pair) for pair in pairwise(bounds)])[:, 0]

    def _states(self, sequences: list, types: list, layer: int | None, device: torch.device) -> torch.Tensor:
        """States (T, H) by the frozen copy, sequence after sequence in the order given."""
        packed = pack(sequences, types)
        places = [i for begin, s in zip(packed.begins, sequences, strict=True) for i in range(begin, begin + len(s))]
        with torch.no_grad():
            states = to_float32(self.start[0].to(device)(packed.to(device), layer=layer))
            return states[to_device(device, places)]

    def _matches(self, features: list[Feature], device: torch.device) -> list[list[WordPair]]:
        """Of each feature the pairs of words, each of which is the other's nearest by the frozen copy."""
        sequences, types = _sequences(features), [t for f in features for t in f.types]
        states = self._states(sequences, types, self.align.match_layer, device)
        parts = iter(states.split([len(s) for s in sequences]))
        pairs = []
        for feature in features:
            words = [_groups(feature.extra[name]) for name in ("words", "words_pair")]
            left, right = (normalize(means(next(parts), side), dim=-1) if side else next(parts)[:0] for side in words)
            pairs.append([(words[0][i], words[1][j]) for i, j in mutual(left @ right.T)] if all(words) else [])
        return pairs

    @contextmanager
    def _fixed(self, encoder: Encoder) -> Iterator[None]:
        """Keep a pass from reaching the weights that pairs do not change; an optimizer then leaves them alone."""
        weights = [p for name, p in encoder.model.named_parameters() if name in self.fixed and p.requires_grad]
        for weight in weights:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in weights:
                weight.requires_grad_(True)


def contrast(left: torch.Tensor, right: torch.Tensor, keys: Sequence[tuple], temperature: float) -> torch.Tensor:
    """InfoNCE in both directions of vectors of length 1 (n, H), of which those in the same row belong together.

    keys: of each row what stands on the left and on the right; what is the same as the right one is no wrong answer.
    """
    logits = left @ right.T / temperature
    sides = [_numbers(side) for side in zip(*keys, strict=True)]
    same = np.logical_or(*(side[:, None] == side for side in sides)) & ~np.eye(len(keys), dtype=bool)
    logits = logits.masked_fill(to_device(logits.device, same), -torch.inf)
    gold = torch.arange(len(keys), device=logits.device)
    return (cross_entropy(logits, gold) + cross_entropy(logits.T, gold)) / 2


def mutual(similarity: torch.Tensor) -> list[tuple[int, int]]:
    """(row, column) of each number that is the largest of its row and of its column; the first one at ties."""
    columns, rows = similarity.argmax(1).tolist(), similarity.argmax(0).tolist()
    return [(row, column) for row, column in enumerate(columns) if rows[column] == row]


def means(states: torch.Tensor, segments: Sequence[Iterable[int]]) -> torch.Tensor:
    """(T, H) -> (len(segments), H): the mean of the states of each segment's tokens."""
    tokens = [list(segment) for segment in segments]
    segment_of = np.repeat(np.arange(len(tokens)), [len(part) for part in tokens])
    flat = to_device(states.device, [token for part in tokens for token in part])
    sums = states.new_zeros(len(tokens), states.shape[1])
    sums = sums.index_add(0, to_device(states.device, segment_of), states[flat])
    return sums / to_device(states.device, [[float(len(part))] for part in tokens])


def other_half(encoder: Encoder, half: str, layer: int | None) -> list[str]:
    """Names of the encoder's weights outside its lower or upper half.

    The lower half is the embeddings and the first half of the layers, rounded up. layer: whose states the loss reads.
    Raises UserError for a type whose layers are not in one list, and where no layer that the loss reads is in the half.
    """
    depth = encoder.config.num_hidden_layers
    lists = [n for n, m in encoder.model.named_modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    if not lists:
        raise UserError(
            f"align.layers: '{half}', but an encoder of type '{encoder.config.model_type}' has no list of {depth} "
            "layers to divide; write all"
        )
    bound, last = (depth + 1) // 2, depth if layer is None else layer
    if half == "upper" and last <= bound:
        raise UserError(
            f"align.layers: 'upper' trains the layers after layer {bound} of {depth}, and the loss reads layer {last}; "
            "write lower or all, or a higher align.layer"
        )
    names = [name for name, _ in encoder.model.named_parameters()]
    places = [_layer_of(name, lists[0]) for name in names]
    first = next(i for i, place in enumerate(places) if place is not None)
    depths = [place if place is not None else (-1 if i < first else depth) for i, place in enumerate(places)]
    return [name for name, place in zip(names, depths, strict=True) if (place < bound) != (half == "lower")]


def _layer_of(name: str, layers: str) -> int | None:
    """The number of the layer that a weight is in (0 = the first), None outside the list of layers."""
    number, dot, _ = name.removeprefix(f"{layers}.").partition(".")
    return int(number) if name.startswith(f"{layers}.") and dot else None


def _sequences(features: list[Feature]) -> list:
    return [s for f in features for s in f.sequences]


def _groups(words: Sequence[int]) -> list[list[int]]:
    """The tokens of each word, in the order of the words; each token by itself in a text that has no spaces."""
    groups: dict[int, list[int]] = {}
    for token, word in enumerate(words):
        if word >= 0:
            groups.setdefault(word, []).append(token)
    tokens = [token for group in groups.values() for token in group]
    return [[token] for token in tokens] if len(tokens) > PIECES_PER_WORD * len(groups) else [*groups.values()]


def _given(feature: Feature) -> list[WordPair]:
    """The pairs of words that the row brought, as far as the encoder reads both."""
    sides = [{}, {}]
    for side, name in zip(sides, ("words", "words_pair"), strict=True):
        for token, word in enumerate(feature.extra[name]):
            side.setdefault(int(word), []).append(token)
    left, right = sides
    return [(left[i], right[j]) for i, j in feature.extra["alignment"] if i in left and j in right]


def _word_keys(feature: Feature) -> list[tuple]:
    """Of each pair of words their pieces."""
    sides = feature.sequences
    return [
        tuple(tuple(int(side[i]) for i in tokens) for side, tokens in zip(sides, pair, strict=True))
        for pair in feature.extra["pairs"]
    ]


def _numbers(keys: Iterable[Hashable]) -> np.ndarray:
    """A number for each key, equal for equal ones."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys])


def _key(sequence: Sequence[int]) -> bytes:
    return np.asarray(sequence, np.int64).tobytes()
