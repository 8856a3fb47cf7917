"""Which language and which split a file holds, read off its path, and the files beside it that are named alike.

family(Path("data"), "reviews/eng.train.csv", table)
# pattern "reviews/{code}.{split}.csv", codes {en: eng, sw: swa}, splits {train: train, test: test}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from intermezzo.core.errors import UserError
from intermezzo.languages import Language, find

_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[_-][A-Z][a-z]{3}(?![A-Za-z0-9]))?")
_SPLITS = {
    "train": ("train", "training", "trn"),
    "dev": ("dev", "devel", "development", "valid", "validation", "val"),
    "test": ("test", "testing", "tst"),
}
_MACROLANGUAGES = {
    "aka": "ak", "ara": "ar", "aym": "ay", "aze": "az", "est": "et", "fas": "fa", "ful": "ff", "grn": "gn", "iku": "iu",
    "kon": "kg", "kur": "ku", "lav": "lv", "mlg": "mg", "mon": "mn", "msa": "ms", "nep": "ne", "nor": "nb", "ori": "or",
    "orm": "om", "pus": "ps", "que": "qu", "sqi": "sq", "srd": "sc", "swa": "sw", "uzb": "uz", "yid": "yi", "zho": "zh",
}  # fmt: skip
"""Codes of ISO 639-3 for languages as a whole, where the table has that of one of them."""
_WORDS = frozenset(
    {"ak", "am", "as", "be", "fa", "he", "id", "io", "is", "it", "la", "my", "na", "no"}
    | {"of", "or", "pa", "se", "so", "ta", "ti", "to", "us"}
)
"""Codes that are also words of file names; alone they name no language."""


@dataclass(frozen=True)
class Family:
    """Files that differ in language and split alone.

    pattern: their path below the root, with {code} and {split} where it names one. codes: our code -> the files' word.
    splits: our split -> the files' word; empty = the path names none. files: (our code, our split or "") -> path.
    """

    pattern: str
    codes: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    files: dict[tuple[str, str], str] = field(default_factory=dict)


def family(root: Path, name: str, table: Mapping[str, Language], language: str | None = None) -> Family:
    """The files below `root` that are named as `name` is. language: its code, where the path does not say it.

    Raises UserError for a path that names no language, or several, if none is given.
    """
    tokens = [(match.start(), match.group()) for match in _TOKEN.finditer(name)]
    split_word = _last(word for _, word in tokens if split_of(word))
    code_word = None if language else _language_word(name, tokens, table)
    pattern = _replaced(name, {split_word: "{split}", code_word: "{code}"})
    names = _similar(root, pattern) if "{" in pattern else [name]
    codes: dict[str, str] = {}
    splits: dict[str, str] = {}
    files: dict[tuple[str, str], str] = {}
    for path in names:
        words = _words(pattern, path)
        if words is None:
            continue
        code = language or code_of(words.get("code", ""), table)
        split = split_of(words["split"]) if "split" in words else ""
        if code is None or split is None or (code, split) in files:
            continue
        files[code, split] = path
        codes.setdefault(code, words.get("code", code))
        if split:
            splits.setdefault(split, words["split"])
    if code_word in _WORDS and len(codes) < 2 and not language:
        raise _undecided(name, f"'{code_word}' may be a word")
    return Family(pattern, codes, {split: splits[split] for split in _SPLITS if split in splits}, files)


def code_of(word: str, table: Mapping[str, Language]) -> str | None:
    """Our code of a language that a file calls `word`: a code of ISO 639, perhaps with a script, or its English name.

    None for other words.
    """
    word = word.replace("-", "_")
    entry = find(word, table) or find(_MACROLANGUAGES.get(word, ""), table)
    entry = entry or next((e for e in table.values() if word in (e.iso639_3, e.name, e.name.lower())), None)
    return None if entry is None else entry.variety_of or entry.code


def split_of(word: str) -> str | None:
    """Our name of a split that files call `word`."""
    return next((split for split, names in _SPLITS.items() if word.lower() in names), None)


def _language_word(name: str, tokens: list[tuple[int, str]], table: Mapping[str, Language]) -> str:
    """The word of the path that names its language; of the file's name rather than of a folder's."""
    start = name.rfind("/") + 1
    for part in ([word for at, word in tokens if at >= start], [word for at, word in tokens if at < start]):
        words = list(dict.fromkeys(word for word in part if code_of(word, table)))
        words = [word for word in words if word not in _WORDS] or words
        if len(words) > 1:
            raise _undecided(name, f"it may be {' or '.join(repr(word) for word in words)}")
        if words:
            return words[0]
    raise _undecided(name, "its path names none that is defined")


def _undecided(name: str, reason: str) -> UserError:
    return UserError(
        f"{name}: which language is it? {reason}; say it (--language CODE), or name the files by language and split "
        "(eng.train.csv)"
    )


def _last(words: object) -> str | None:
    return next(iter([*words][::-1]), None)  # type: ignore[misc]


def _replaced(name: str, names: dict[str | None, str]) -> str:
    return _TOKEN.sub(lambda match: names.get(match.group(), match.group()), name)


def _similar(root: Path, pattern: str) -> list[str]:
    """Paths below the root that the pattern may mean, sorted."""
    escaped = re.sub(r"([\[*?])", r"[\1]", pattern)
    glob = re.sub(r"\{(code|split)\}", "*", escaped)
    return sorted(path.relative_to(root).as_posix() for path in root.glob(glob) if path.is_file())


def _words(pattern: str, path: str) -> dict[str, str] | None:
    """What stands in a path where the pattern has {code} and {split}; None where it is another path."""
    expression, seen = "", set()
    for part in re.split(r"(\{code\}|\{split\})", pattern):
        key = part.strip("{}")
        if part not in ("{code}", "{split}"):
            expression += re.escape(part)
        elif key in seen:
            expression += f"(?P={key})"
        else:
            expression += f"(?P<{key}>[A-Za-z0-9]+(?:[_-][A-Z][a-z]{{3}})?)"
            seen.add(key)
    match = re.fullmatch(expression, path)
    return match.groupdict() if match else None
