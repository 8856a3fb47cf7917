"""Tokenizers: reading the one of a model folder, and training one with sentencepiece.

A trained tokenizer is a sentencepiece BPE model with XLM-R's layout of special tokens (<s> 0, <pad> 1, </s> 2,
<unk> 3, <mask> last), written as `tokenizer.json` so that transformers and tokenizers open it. BPE, not unigram:
on small texts unigram begins most words of unspaced or rich scripts with a bare word mark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Encoding, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from intermezzo.core.artifacts import read_json, write_json
from intermezzo.core.errors import UserError, machine_fault
from intermezzo.modeling.folder import MANIFEST, TOKENIZER, TOKENIZER_SETTINGS, check, damaged

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder, without padding or truncation; `mask_token` and `encode_words` take it too.

    Raises UserError where it is missing, or is not the one that the folder's manifest names; a folder that is still
    being made has no manifest.
    """
    path = folder / TOKENIZER
    if (folder / MANIFEST).is_file():
        check(folder, TOKENIZER)
    elif not path.is_file():
        raise damaged(path, "no such file")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # tokenizers' own class keeps no names of special tokens
    tokenizer.mask, tokenizer.unknown = _named(folder, "mask_token"), _named(folder, "unk_token")
    return tokenizer


def _named(folder: Path, key: str) -> str | None:
    """A special token that the folder's files name; None = they do not."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token = read_json(folder / name).get(key) if (folder / name).is_file() else None
        if token is not None:
            return token["content"] if isinstance(token, dict) else token
    return None


def mask_token(tokenizer: Tokenizer) -> str:
    """The token that masks others: the one that the tokenizer's files name, else XLM-R's or BERT's.

    Raises UserError for a tokenizer that has none.
    """
    names = (getattr(tokenizer, "mask", None), MASK, "[MASK]")
    tokens = [token for token in names if token is not None and tokenizer.token_to_id(token) is not None]
    if not tokens:
        raise UserError(
            "the encoder's tokenizer has no mask token, which masked text needs; name it as mask_token in the "
            "encoder's tokenizer_config.json, or leave masked text (mlm, as_text) out"
        )
    return tokens[0]


def encode_words(tokenizer: Tokenizer, sentences: Sequence[Sequence[str]]) -> list[Encoding]:
    """Encode sentences of given words, each word as it stands in running text.

    A tokenizer that keeps spaces inside its pieces (byte-level BPE, Gemma's) knows a word without the space before it
    only as the inside of another word. There each word gets its space, the first one too (add_prefix_space).
    """
    return tokenizer.encode_batch([_spaced(tokenizer, words) for words in sentences], is_pretokenized=True)


def _spaced(tokenizer: Tokenizer, words: Sequence[str]) -> list[str]:
    """The words, with the space before them where the tokenizer keeps it."""
    return [f" {word}" for word in words] if _keeps_spaces(tokenizer) else list(words)


def _keeps_spaces(tokenizer: Tokenizer) -> bool:
    """Whether two given words are read as in running text only if the second one brings its space."""
    if not hasattr(tokenizer, "keeps_spaces"):
        inputs = (("a b", False), (["a", "b"], True), (["a", " b"], True))
        whole, bare, spaced = (
            tokenizer.encode(text, is_pretokenized=is_split, add_special_tokens=False).ids for text, is_split in inputs
        )
        tokenizer.keeps_spaces = whole != bare and whole == spaced
    return tokenizer.keeps_spaces


def unknown_pieces(tokenizer: Tokenizer, rows: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """How many pieces of the rows' words are the unknown token, and how many there are in all.

    A word of which the tokenizer leaves nothing counts as one unknown piece.
    """
    columns = ("tokens", "text", "text_pair", "context", "question", "choices")
    words = [word for row in rows for column in columns if row.get(column) for word in _words(row[column])]
    name = getattr(tokenizer.model, "unk_token", None) or getattr(tokenizer, "unknown", None)
    unknown = tokenizer.token_to_id(name) if name else None
    ids = [encoding.ids for encoding in tokenizer.encode_batch(_spaced(tokenizer, words), add_special_tokens=False)]
    return sum(part.count(unknown) or not part for part in ids), sum(len(part) or 1 for part in ids)


def subwords_per_word(folder: Path, rows: Sequence[dict[str, Any]], sample: int = 200) -> float | None:
    """Fertility of the folder's tokenizer on the first rows of a data set (Rust et al. 2021); None without words.

    Words are those of the data where it is tokenised, else what white space parts: in scripts that write none, a
    sentence is a word, and the number means nothing.
    """
    columns = ("tokens", "text", "context", "question")
    words = [word for row in rows[:sample] for column in columns if row.get(column) for word in _words(row[column])]
    tokenizer = load_tokenizer(folder)
    encodings = tokenizer.encode_batch(_spaced(tokenizer, words), add_special_tokens=False)
    return sum(len(encoding.ids) for encoding in encodings) / len(words) if words else None


def _words(value: str | list[str]) -> list[str]:
    return value.split() if isinstance(value, str) else value


def normalize(text: str) -> str:
    """NFKC and single spaces: what the written tokenizer does before it splits a text."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()


def train_tokenizer(texts: Iterable[str], folder: Path, *, vocab_size: int, required_chars: str = "") -> int:
    """Train a BPE tokenizer on `texts`, write it to `folder`, and return the size of its vocabulary.

    `required_chars` get a token whatever their frequency: letters of scripts that the text lacks. The texts must
    hold more distinct characters and words than `vocab_size` asks for, or sentencepiece gives fewer pieces.
    Raises UserError when there is too little text for a vocabulary of that size.
    """
    buffer = BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(normalize(text) for text in texts),
            model_writer=buffer,
            model_type="bpe",
            vocab_size=vocab_size - 1,  # <mask> comes on top
            required_chars=required_chars,
            character_coverage=1.0,
            normalization_rule_name="identity",
            bos_id=0, pad_id=1, eos_id=2, unk_id=3,
            bos_piece=SPECIAL[0], pad_piece=SPECIAL[1], eos_piece=SPECIAL[2], unk_piece=SPECIAL[3],
            num_threads=1, minloglevel=2,
        )  # fmt: skip
    except (RuntimeError, OSError) as error:
        if machine_fault(error):
            raise
        first = str(error).strip().splitlines()[-1]
        raise UserError(
            f"tokenizer: vocab_size {vocab_size} does not fit the text ({first}); "
            "lower encoders.<name>.tokenizer.vocab_size or give more text"
        ) from None
    model = sentencepiece.SentencePieceProcessor(model_proto=buffer.getvalue())
    pieces = [model.id_to_piece(i) for i in range(model.vocab_size())]
    tokenizer = _as_tokenizer(pieces, [model.get_score(i) for i in range(len(pieces))])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER))
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    write_json(
        folder / TOKENIZER_SETTINGS,
        {"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": MASK, "cls_token": "<s>", "sep_token": "</s>"}
        | names,
    )
    return tokenizer.get_vocab_size()


def _as_tokenizer(pieces: list[str], scores: list[float]) -> Tokenizer:
    """The same segmentation in the `tokenizers` library: BPE merges in the order in which sentencepiece made them."""
    ids = {piece: i for i, piece in enumerate(pieces)}
    merges: list[tuple[str, str]] = []
    for piece in sorted(pieces[len(SPECIAL) :], key=lambda p: (-scores[ids[p]], ids[p])):
        halves = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        mergeable = [(first, second) for first, second in halves if first in ids and second in ids]
        merges += sorted(mergeable, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([*SPECIAL, MASK])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return tokenizer
