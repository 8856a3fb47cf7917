"""How a task file says where published data lies: part by part, or many alike parts at once.

    data:                                        each:
      sw:                                          - languages: {sw: swa, yo: yor}
        test:                                        splits: {dev: dev, test: test}
          - {reader: iob2, path: swa/test.txt}       rows: {test: {sw: 604}}
                                                     part: {reader: iob2, path: "{code}/{split}.txt"}

A block of `each` stands for one part per language and split. In every string of its part `{code}` becomes the
source's name of the language, `{split}` that of the split, and `{language}` our code. `rows` are verified numbers of
rows, checked when data is read; `unverified_rows` are numbers that nobody has seen in a source: a difference is
reported and nothing more. `otherwise` names, by split and language, the files that take the place of a download that
cannot be had.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from intermezzo.core.validation import describe

Part = dict[str, Any]
Data = dict[str, dict[str, list[Part]]]
"""language -> split -> parts, in the order in which they are read."""
_Rows = dict[str, Annotated[int, Field(ge=0)] | dict[str, Annotated[int, Field(ge=0)]]]


class Alternative(BaseModel):
    """Other addresses of the same data, for when that of the part cannot be had."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(description="An address with {name} and {split}.")
    names: dict[str, dict[str, list[str]]] = Field(description="Split -> language -> a name for each file, in order.")


class Block(BaseModel):
    """Many alike parts: one per language and split."""

    model_config = ConfigDict(extra="forbid", strict=True)

    languages: dict[str, str] | list[str] = Field(description="Our code -> the source's name; a list: the same names.")
    splits: dict[str, str] = Field(description="Our name of a split -> the source's.")
    part: Part
    rows: _Rows = Field(default={}, description="Split -> verified number of rows, or language -> number.")
    unverified_rows: _Rows = Field(default={}, description="The same for numbers that nobody has seen in a source.")
    otherwise: Alternative | None = None


class _Section(BaseModel):
    each: list[Block]
    data: Data = {}


def expand(section: dict[str, Any]) -> dict[str, Any]:
    """The section with its `each` written out into `data`.

    Raises ValueError for a block with unknown or missing keys, numbers of rows for a language or split that it does
    not have, and data that is given twice.
    """
    try:
        blocks = _Section.model_validate(section)
    except ValidationError as error:
        raise ValueError("; ".join(describe(error.errors(), _Section))) from None
    data: Data = {language: dict(splits) for language, splits in blocks.data.items()}
    for number, block in enumerate(blocks.each):
        where = f"each[{number}]"
        languages, splits = block.languages, block.splits
        names = languages if isinstance(languages, dict) else {code: code for code in languages}
        _check_rows(where, block, names, splits)
        for language, code in names.items():
            for split, theirs in splits.items():
                if split in data.setdefault(language, {}):
                    raise ValueError(f"{where}: {language}.{split} is there already")
                part = _fill(block.part, {"{code}": code, "{split}": theirs, "{language}": language})
                for key in ("rows", "unverified_rows"):
                    count = getattr(block, key).get(split)
                    count = count.get(language) if isinstance(count, dict) else count
                    if count is not None:
                        part[key] = count
                if block.otherwise and (files := block.otherwise.names.get(split, {}).get(language)):
                    url = block.otherwise.url.replace("{split}", theirs)
                    part["otherwise"] = [url.replace("{name}", name) for name in files]
                data[language][split] = [part]
    return {key: value for key, value in section.items() if key not in ("each", "data")} | {"data": data}


def _check_rows(where: str, block: Block, names: dict[str, str], splits: dict[str, str]) -> None:
    others = block.otherwise.names if block.otherwise else {}
    for key, given in (("rows", block.rows), ("unverified_rows", block.unverified_rows), ("otherwise.names", others)):
        for split, count in given.items():
            languages = set(count) if isinstance(count, dict) else set()
            if split not in splits or not languages <= set(names):
                strange = split if split not in splits else sorted(languages - set(names))[0]
                raise ValueError(f"{where}.{key}: '{strange}' is not in this block")


def _fill(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, meant in names.items():
            value = value.replace(name, meant)
        return value
    if isinstance(value, list):
        return [_fill(item, names) for item in value]
    return {key: _fill(item, names) for key, item in value.items()} if isinstance(value, dict) else value
