"""The language table: names, families, scripts, resource classes, and which languages are rare.

Real languages are in `resources/languages.tsv` (its head says where each column comes from), the artificial ones
of source "world" in `resources/world.yaml`. `config/languages.tsv` of the working directory, or else of the project,
and `languages.add` of a configuration add languages, and correct facts of those that are there. A code may carry a
script (kas_Deva): a language of the table in another script needs no entry of its own.

Rare means Joshi classes 0-2 (a language without a class counts as class 0), in the world the flag `rare`.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.places import PROJECT
from intermezzo.core.validation import describe
from intermezzo.tasks import RESOURCES

RARE_CLASSES = frozenset({0, 1, 2})
OWN_TABLE = Path("config/languages.tsv")
"""The table of the working directory: a header that names columns (`code` and `name` at least), tabs between cells."""
NOT_KNOWN = ("", "-", "not known")
CODE = re.compile(r"[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*")
"""What a code looks like; it is part of paths and of names in mixes."""
RESERVED = frozenset({"all", "auto", "manifest", "mix", "mul", "rest"})
"""Words that stand for something else where a code is written."""
SCRIPTS = {
    "Arab": "Arabic", "Armn": "Armenian", "Beng": "Bengali", "Cans": "Canadian Aboriginal", "Cher": "Cherokee",
    "Cyrl": "Cyrillic", "Deva": "Devanagari", "Ethi": "Ethiopic", "Geor": "Georgian", "Grek": "Greek",
    "Gujr": "Gujarati", "Guru": "Gurmukhi", "Hang": "Hangul", "Hans": "Han", "Hant": "Han", "Hebr": "Hebrew",
    "Jpan": "Japanese", "Khmr": "Khmer", "Knda": "Kannada", "Laoo": "Lao", "Latn": "Latin", "Mlym": "Malayalam",
    "Mong": "Mongolian", "Mymr": "Burmese", "Nkoo": "N'Ko", "Olck": "Ol Chiki", "Orya": "Odia", "Sinh": "Sinhala",
    "Taml": "Tamil", "Telu": "Telugu", "Tfng": "Tifinagh", "Thaa": "Thaana", "Thai": "Thai", "Tibt": "Tibetan",
}  # fmt: skip
"""ISO 15924 code -> the table's word, for the second half of a code; others keep their code as their name."""


@dataclass(frozen=True)
class Language:
    """One language; None where nothing is known.

    rare: Joshi class 0-2 or none, or the flag of an artificial language. training_examples: whether an artificial
    language has labelled examples (of a real language the task files say it). script: name of the script; of an
    artificial language None for Latin. joshi: resource class 0-5 (Joshi et al. 2020, arXiv:2004.09095).
    wikipedia_articles: content pages of its Wikipedia. encoders: names of encoders that are said, where the language
    is added, to have read it. variety_of: code of the same language in the table's script. Artificial languages have
    none of the last five.
    """

    code: str
    name: str
    family: str | None
    rare: bool
    training_examples: bool = True
    script: str | None = None
    joshi: int | None = None
    branch: str | None = None
    iso639_3: str | None = None
    wikipedia_articles: int | None = None
    encoders: tuple[str, ...] = ()
    variety_of: str | None = None


def _unknown(value: Any) -> Any:
    """None for what is written as not known."""
    return None if isinstance(value, str) and value.strip().lower() in NOT_KNOWN else value


_Text = Annotated[str | None, BeforeValidator(_unknown)]
_Code = Annotated[Annotated[str, Field(pattern="^[a-z]{3}$")] | None, BeforeValidator(_unknown)]
_Class = Annotated[Annotated[int, Field(ge=0, le=5)] | None, BeforeValidator(_unknown)]
_Count = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_unknown)]


class Facts(BaseModel):
    """What is known of a language that is added to the table. `not known` and null are the same."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: _Text = Field(None, description="English name; only a code that the table has can do without.")
    iso639_3: _Code = Field(None, description="ISO 639-3 code, by which the lists of encoders find it.")
    family: _Text = Field(None, description="Top-level family, for `@family:NAME` and the analysis.")
    branch: _Text = Field(None, description="Branch of the family.")
    script: _Text = Field(None, description="Script, for `@script:NAME` and the analysis.")
    joshi: _Class = Field(
        None, description="Resource class 0-5 of Joshi et al. 2020; a language that their list lacks counts as 0."
    )
    wikipedia_articles: _Count = Field(None, description="Articles of its Wikipedia; 0 = it has none.")
    encoders: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="Encoders that were pretrained on it: names in `resources/encoders.yaml`."
    )


Added = tuple[tuple[str, Facts], ...]
"""(code, facts) of the languages that a configuration adds."""


def table(source: str, added: Added = ()) -> dict[str, Language]:
    """Code -> language, in the order of the source's file; every source but "world" has the real languages.

    Raises UserError for a `config/languages.tsv` that is none, and for an added language without a name.
    """
    return _world() if source == "world" else _real(os.getcwd(), added)


def find(code: str, languages: Mapping[str, Language]) -> Language | None:
    """The language of a code: its entry, or a language of the table in the script that the code ends in; else None."""
    if entry := languages.get(code):
        return entry
    stem, _, ending = code.partition("_")
    if not re.fullmatch("[a-z]{2,3}", stem) or not re.fullmatch("[A-Z][a-z]{3}", ending):
        return None
    script = SCRIPTS.get(ending, ending)
    stem = "zh" if stem == "zho" else stem  # ISO 639-3 has zho for Chinese as a whole, and FLORES-200 writes it
    alike = [entry for entry in languages.values() if stem in (entry.code, entry.iso639_3, entry.code.split("_")[0])]
    if not alike:
        return None
    entry = next((entry for entry in alike if entry.script == script), None)
    if entry is not None:
        return replace(entry, code=code, variety_of=entry.variety_of or entry.code)
    entry = alike[0]
    name = f"{entry.name.partition(' (')[0] if '_' in entry.code else entry.name} ({script} script)"
    return replace(entry, code=code, name=name, script=script, wikipedia_articles=None, encoders=(), variety_of=None)


def find_all(codes: tuple[str, ...], source: str, added: Added = ()) -> Mapping[str, Language]:
    """Those of `codes` that anybody has defined, in their order: `find` of each in the table."""
    return _find_all(codes, source, added, os.getcwd())


def language(code: str, source: str) -> Language:
    """The language of that code; UserError with a suggestion when there is none."""
    languages = table(source)
    entry = find(code, languages)
    if entry is None:
        raise UserError(f"unknown language '{code}' of source '{source}'; {hint(code, languages)}")
    return entry


def hint(code: str, languages: Mapping[str, Language]) -> str:
    """What may be meant by a code that nobody has defined: its ISO 639-3 letters stand for another code, or a slip."""
    if entry := next((entry for entry in languages.values() if entry.iso639_3 == code), None):
        return f"the table calls it '{entry.code}'"
    return suggestion(code, languages)


def rare(source: str) -> frozenset[str]:
    """Codes of the rare languages."""
    return frozenset(code for code, entry in table(source).items() if entry.rare)


def family(code: str, source: str) -> str | None:
    """Top-level family of a language (an isolate's is "isolate")."""
    return language(code, source).family


def name(code: str, source: str) -> str:
    """English name of a language."""
    return language(code, source).name


def code_problem(code: str) -> str:
    """What is wrong with a code of a language that is added; "" if nothing is."""
    if not CODE.fullmatch(code):
        return f"'{code}' is no code; write ISO 639-3 letters, and a script where data has several (kas_Deva)"
    if code.lower() in RESERVED:
        return f"'{code}' has a meaning of its own; choose another code"
    return ""


def define(code: str, facts: Facts, languages: Mapping[str, Language], place: str) -> Language:
    """The language of `code` with these facts; what they leave open is as the table has it.

    place: where the language is added, for the message. Raises UserError for a name that nobody gives.
    """
    entry = find(code, languages)
    if entry is None and not facts.name:
        raise UserError(f"{place}: the language '{code}' is in no table yet and needs a name")
    values = {key: getattr(facts, key) for key in Facts.model_fields if getattr(facts, key) not in (None, ())}
    known = entry or Language(code=code, name="", family=None, rare=True)
    joshi = values.get("joshi", known.joshi)
    return replace(known, **values, code=code, rare=joshi is None or joshi in RARE_CLASSES, variety_of=None)


@cache
def _real(folder: str, added: Added) -> dict[str, Language]:
    """The catalogue's languages, then those of the folder's own table, then those that are added."""
    languages = _catalogue()
    path = next((path for path in (Path(folder) / OWN_TABLE, PROJECT / OWN_TABLE) if path.is_file()), None)
    for place, code, facts in _own(path) if path else ():
        languages[code] = define(code, facts, languages, place)
    for code, facts in added:
        languages[code] = define(code, facts, languages, f"languages.add.{code}")
    return languages


@cache
def _find_all(codes: tuple[str, ...], source: str, added: Added, folder: str) -> Mapping[str, Language]:
    languages = table(source, added)
    entries = {code: find(code, languages) for code in codes}
    return MappingProxyType({code: entry for code, entry in entries.items() if entry is not None})


def _catalogue() -> dict[str, Language]:
    lines = (RESOURCES / "languages.tsv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
    return {
        row["code"]: Language(
            code=row["code"],
            name=row["name"],
            family=_unknown(row["family"]),
            rare=int(row["joshi"]) in RARE_CLASSES,
            script=_unknown(row["script"]),
            joshi=int(row["joshi"]),
            branch=_unknown(row["branch"]),
            iso639_3=row["iso639_3"],
            wikipedia_articles=int(row["wikipedia_articles"]) if row["wikipedia_articles"] != "-" else None,
        )
        for row in rows
    }


def _own(path: Path) -> list[tuple[str, str, Facts]]:
    """(place, code, facts) of each line of a table of one's own. Raises UserError that names the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{OWN_TABLE}: cannot be read ({error}); write it as UTF-8 text") from None
    numbered = [(n, line) for n, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    if not numbered:
        return []
    header = [cell.strip() for cell in numbered[0][1].split("\t")]
    columns = ["code", *Facts.model_fields]
    place = f"{OWN_TABLE}, line {numbered[0][0]}"
    for cell in header:
        if cell not in columns:
            raise UserError(f"{place}: unknown column '{cell[:40]}'; {suggestion(cell, columns)} (tabs between cells)")
    if twice := next((cell for cell in header if header.count(cell) > 1), None):
        raise UserError(f"{place}: column '{twice}' is there more than once; keep one")
    if missing := [cell for cell in ("code", "name") if cell not in header]:
        raise UserError(f"{place}: no column {' and '.join(missing)}; the first line names the columns")
    entries: dict[str, tuple[str, str, Facts]] = {}
    for number, line in numbered[1:]:
        cells = [cell.strip() for cell in line.split("\t")]
        place = f"{OWN_TABLE}, line {number}"
        if len(cells) > len(header):
            raise UserError(f"{place}: {len(cells)} cells, but the first line names {len(header)} columns")
        row = dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=True))
        code = row.pop("code")
        if problem := code_problem(code):
            raise UserError(f"{place}: {problem}")
        if code in entries:
            raise UserError(f"{place}: '{code}' is on an earlier line already; keep one of the two")
        entries[code] = (place, code, _facts(row, place))
    return list(entries.values())


def _facts(row: dict[str, str], place: str) -> Facts:
    values: dict[str, Any] = {key: value for key, value in row.items() if value.lower() not in NOT_KNOWN}
    if "encoders" in values:
        values["encoders"] = tuple(values["encoders"].split())
    for key in ("joshi", "wikipedia_articles"):
        if re.fullmatch("[0-9]{1,12}", values.get(key, "")):
            values[key] = int(values[key])
    try:
        return Facts(**values)
    except ValidationError as error:
        raise UserError(f"{place}: " + "; ".join(describe(error.errors(), Facts))) from None


@cache
def _world() -> dict[str, Language]:
    entries = yaml.safe_load((RESOURCES / "world.yaml").read_text(encoding="utf-8"))["languages"]
    return {
        code: Language(
            code=code,
            name=entry["name"],
            family=entry["family"],
            rare=entry["rare"],
            training_examples=entry.get("training_examples", True),
            script=entry.get("script"),
        )
        for code, entry in entries.items()
    }
