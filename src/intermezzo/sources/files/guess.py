"""What a file of somebody's own most likely is: its reader, format, columns and labels, by its ending and content.

    guess(File(root, "reviews/eng.train.csv"))
    # Guess(format, {"reader": "csv", "fields": {"text": "review", "text_pair": None, "label": "verdict"}})

A guess is made where one reading is likely and no other. Where it is not, there is one message that says what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.languages import Language
from intermezzo.sources.files import parquet
from intermezzo.sources.files.naming import Family, code_of
from intermezzo.sources.files.reading import File
from intermezzo.tasks.formats import MASKED_TEXT, format_names, load_format

Record = dict[str, Any]
ENGLISH = "en"
DOCUMENT = "docs/your-data.md has an example of each kind"
_RECORDS = 2000
"""Records that are looked at."""
_MOST_LABELS = 200
_TEXT = ("text", "sentence", "review", "tweet", "headline", "content", "body", "comment", "document", "utterance")
_PAIRS = (
    *(("premise", "hypothesis"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("text1", "text2")),
    *(("text_a", "text_b"), ("sentence_a", "sentence_b"), ("question1", "question2"), ("text", "text_pair")),
)
_LABEL = (
    *("label", "labels", "category", "class", "topic", "sentiment", "gold_label", "verdict", "intent", "emotion"),
    *("target", "answer", "gold", "correct", "score", "similarity", "rating"),
)
_TOKENS = ("tokens", "words")
_TAGS = ("tags", "ner_tags", "pos_tags", "upos", "ner", "pos", "labels")
_CONTEXT = ("context", "passage", "paragraph", "premise", "article", "goal")
_QUESTION = ("question", "query", "ask")
_ANSWERS = ("answers", "answer")
_CHOICES = ("choices", "options", "endings", "alternatives")
_NUMBERED = re.compile(r"(choice|option|ending|alternative|answer|solution|sol|mc_answer)[_-]?([0-9]|[a-eA-E])")


_TAGGED = {"tokens", "tags"}
_ANSWERED = {"context", "question", "answers", "answer_starts"}


@dataclass
class Guess:
    """format: name of a task format. part: reader and options, without `path`. labels: those that the file names."""

    format: str
    part: dict[str, Any]
    labels: list[str] = field(default_factory=list)


def guess(file: File, second: File | None = None) -> Guess:
    """What a file is. second: the file that seems to hold its labels, a line each.

    Raises UserError for a file that cannot be read, and for one of which nothing is likely.
    """
    suffix = PurePosixPath(file.name).suffix.lower()
    if suffix == ".parquet":
        numbered = chain.from_iterable(parquet.batches(file, {""}))
        return _of_records(file, [record for _, record in _first(numbered)], "parquet", second)
    if suffix in (".jsonl", ".ndjson", ".jl"):
        return _of_records(file, [record for _, record in _first(file.json_lines())], "jsonl", second)
    if suffix == ".json":
        return _of_json(file, second)
    if suffix in (".xml", ".gz", ".zip", ".xlsx", ".tar", ".bz2", ".xz", ".docx", ".pdf"):
        raise undecided(file, f"a file that ends in {suffix}; unpack it, or write it as CSV, TSV or JSON lines")
    lines = file.lines()
    if (tagged := _tagged(lines, suffix)) is not None:
        return tagged
    if suffix in (".csv", ".tsv", ".tab") or (lines and "\t" in lines[0]):
        return _of_table(file, lines, suffix, second)
    return Guess(MASKED_TEXT, {"reader": "lines"})


def languages_of_columns(file: File, table: Mapping[str, Language]) -> dict[str, str]:
    """Our code -> column, of a table whose columns are sentences in English and in other languages; else none."""
    lines = file.lines() if PurePosixPath(file.name).suffix.lower() in (".csv", ".tsv", ".tab") else []
    names = [name.strip('" ') for name in re.split("[,;|\t]", lines[0])] if lines else []
    names = [name for name in names if name.lower() not in ("id", "idx")]
    codes = {code: name for name in names if (code := code_of(name, table))}
    return codes if len(codes) == len(names) > 1 and ENGLISH in codes else {}


def translations(file: File, words: Mapping[str, str], files: Family) -> Guess:
    """Such a table as pairs with English. words: our code -> column. Changes the languages of `files`."""
    lines, suffix = file.lines(), PurePosixPath(file.name).suffix.lower()
    delimiter, quoted = _delimiter(lines, suffix)
    part = {"reader": "tsv" if delimiter == "\t" else "csv", "fields": {"text": "{code}", "text_pair": words[ENGLISH]}}
    splits = {split: path for (_, split), path in files.files.items()}
    files.codes.clear()
    files.files.clear()
    for code, word in words.items():
        if code != ENGLISH:
            files.codes[code] = word
            files.files.update({(code, split): path for split, path in splits.items()})
    return Guess(_format({"text"}, paired=True), part | _options(delimiter, quoted))


def pair_lines(found: Guess, files: Family, root: Path) -> None:
    """Plain lines in English and in another language, as many of both, are translations. Changes both arguments."""
    english = {split: path for (code, split), path in files.files.items() if code == ENGLISH}
    others = {key: path for key, path in files.files.items() if key[0] != ENGLISH}
    if found.format != MASKED_TEXT or not english or not others:
        return
    for (_, split), path in others.items():
        if split not in english or len(File(root, path).lines()) != len(File(root, english[split]).lines()):
            return
    found.format = _format({"text"}, paired=True)
    found.part = {"reader": "parallel_lines", "english": files.pattern.replace("{code}", files.codes[ENGLISH])}
    for split in english:
        del files.files[ENGLISH, split]
    del files.codes[ENGLISH]


@cache
def _format_of(columns: frozenset[str], label: type, paired: bool) -> str:
    forms = [load_format(name) for name in format_names()]
    alike = [form for form in forms if form.columns.keys() - {"id", "text_pair"} == columns]
    alike = [form for form in alike if "label" not in form.columns or form.columns["label"].item is label]
    return next(form.name for form in alike if form.paired_with_english == paired)


def _format(columns: set[str], label: type = str, *, paired: bool = False) -> str:
    """The format whose rows have these columns, beside `id` and a second text, and a gold label of that type."""
    return _format_of(frozenset(columns), label, paired)


def undecided(file: File, what: str) -> UserError:
    """The message where nothing is likely. what: what was seen, and what helps."""
    return UserError(f"{file}: cannot tell what task this is: {what}. Or write the task file by hand; {DOCUMENT}")


def label_names(values: Iterable[Any]) -> list[Any]:
    """The labels among values of a column, sorted; of different types, as text."""
    flat = [item for value in values for item in (value if isinstance(value, list) else [value]) if item is not None]
    return sorted(set(flat), key=lambda label: (str(type(label)), label)) if flat else []


def _first(numbered: Iterable[tuple[int, Record]]) -> list[tuple[int, Record]]:
    return [pair for _, pair in zip(range(_RECORDS), numbered, strict=False)]


def _of_json(file: File, second: File | None) -> Guess:
    try:
        value = file.json()
    except UserError as error:
        try:
            return _of_records(file, [record for _, record in _first(file.json_lines())], "jsonl", second)
        except UserError:
            raise error from None
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return Guess(_format(_ANSWERED), {"reader": "squad_json"})
    if isinstance(value, dict) and not isinstance(next(iter(value.values()), None), (list, dict)):
        return _of_records(file, [value], "jsonl", second)  # one line
    what = "a list" if isinstance(value, list) else f"an object of {', '.join(map(str, list(value)[:6]))}"
    raise undecided(file, f"JSON that is {what}; write one object per line (.jsonl), or SQuAD's layout ('data')")


def _tagged(lines: Sequence[str], suffix: str) -> Guess | None:
    """Sentences with a token per line and empty lines between them; None where it is something else."""
    if suffix == ".conllu":
        return Guess(_format(_TAGGED), {"reader": "conllu"})
    rows = [re.split(r"\t" if "\t" in line else " ", line) for line in lines[:_RECORDS] if line.strip()]
    rows = [row for row in rows if row[0] != "-DOCSTART-"]
    cells = [row for row in rows if not row[0].startswith("#")] or rows
    widths = {len(row) for row in cells}
    named = suffix in (".conll", ".iob", ".iob2", ".bio", ".ner", ".pos")
    if len(widths) != 1 or widths == {1} or not (named or "" in (line.strip() for line in lines[:-1])):
        return None
    (width,) = widths
    if width == 10 and all(row[0].isdecimal() or "-" in row[0] or "." in row[0] for row in cells):
        return Guess(_format(_TAGGED), {"reader": "conllu"})
    token = 1 if width > 2 and all(row[0].isdecimal() for row in cells) else 0
    columns = [i for i in range(width) if i != token and _is_iob({row[i] for row in cells})]
    tag = columns[0] if columns else width - 1
    if not columns and width > 2:
        return None if not named else Guess(_format(_TAGGED), {"reader": "iob2", "columns": [token, tag]})
    if not columns:
        return Guess(_format(_TAGGED), {"reader": "two_column"})
    part: dict[str, Any] = {"reader": "iob2", "columns": [token, tag]}
    if any(row[0] == "#" and len(row) == width for row in rows):
        part["comments"] = False
    return Guess(_format(_TAGGED), part | ({"repair": True} if _needs_repair(lines, tag) else {}))


def _is_iob(tags: set[str]) -> bool:
    return all(tag == "O" or tag[:2] in ("B-", "I-") for tag in tags) and any(tag != "O" for tag in tags)


def _needs_repair(lines: Sequence[str], tag: int) -> bool:
    """Whether an I- tag continues nothing anywhere."""
    previous = "O"
    for line in lines:
        cells = re.split(r"\t" if "\t" in line else " ", line)
        current = cells[tag] if len(cells) > tag else "O"
        if current.startswith("I-") and previous[2:] != current[2:]:
            return True
        previous = current
    return False


def _of_table(file: File, lines: Sequence[str], suffix: str, second: File | None) -> Guess:
    delimiter, quoted = _delimiter(lines, suffix)
    records = [record for _, record in file.delimited((), delimiter=delimiter, quoted=quoted)][:_RECORDS]
    if not records:
        raise undecided(file, "a table without rows below its first line, which names the columns")
    found = _of_records(file, records, "tsv" if delimiter == "\t" else "csv", second)
    return Guess(found.format, {**found.part, **_options(delimiter, quoted)}, found.labels)


def _delimiter(lines: Sequence[str], suffix: str) -> tuple[str, bool]:
    """What parts the columns of a table, and whether cells are quoted."""
    counts = {sign: lines[0].count(sign) for sign in (",", "\t", ";", "|")}
    delimiter = max(counts, key=lambda sign: counts[sign])
    if not counts[delimiter]:
        delimiter = "\t" if suffix in (".tsv", ".tab") else ","
    return delimiter, delimiter != "\t" or _is_quoted(lines)


def _options(delimiter: str, quoted: bool) -> dict[str, Any]:
    """The options of the reader `csv` or `tsv` that are not its defaults."""
    if delimiter == "\t":
        return {"quoted": True} if quoted else {}
    return {} if delimiter == "," else {"delimiter": delimiter}


def _is_quoted(lines: Sequence[str]) -> bool:
    """Whether quotes in a table with tabs are those of CSV: each cell that has some begins and ends with one."""
    cells = [cell for line in lines[:_RECORDS] for cell in line.split("\t") if '"' in cell]
    if not cells or not all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells):
        return False
    return all('"' not in cell[1:-1].replace('""', "") for cell in cells)


def _of_records(file: File, records: list[Record], reader: str, second: File | None) -> Guess:
    if not records:
        raise undecided(file, "no records")
    names = {str(name).lower(): name for name in records[0]}
    for attempt in (_tagging, _span, _choice, _texts):
        found = attempt(file, records, names, reader, second)
        if found is not None:
            return found
    fields = ", ".join(map(str, records[0]))
    raise undecided(
        file, f"its fields are {fields}; name them text and label (premise, hypothesis, label; tokens, tags)"
    )


def _named(names: dict[str, Any], wanted: Iterable[str]) -> Any:
    return next((names[name] for name in wanted if name in names), None)


def _tagging(
    file: File, records: list[Record], names: dict[str, Any], reader: str, second: File | None
) -> Guess | None:
    tokens, tags = _named(names, _TOKENS), _named(names, _TAGS)
    if tokens is None or not isinstance(records[0][tokens], list):
        return None
    if second is None and (tags is None or not isinstance(records[0][tags], list)):
        return None
    fields = {"tokens": tokens} | ({} if second else {"tags": tags})
    found = _records(reader, records, names, _format(_TAGGED), fields)
    if second is None and any(not isinstance(tag, str) for record in records for tag in record[tags]):
        labels = parquet.class_names(file, tags) if reader == "parquet" else []
        if not labels:
            raise undecided(file, f"the tags in '{tags}' are numbers without names; write their names instead")
        found.labels = labels
    return found


def _span(file: File, records: list[Record], names: dict[str, Any], reader: str, second: File | None) -> Guess | None:
    context, question = _named(names, _CONTEXT), _named(names, _QUESTION)
    if context is None or question is None:
        return None
    answers = _named(names, _ANSWERS)
    value = records[0].get(answers)
    items = value if isinstance(value, list) else [value]
    if isinstance(items[0] if items else None, dict) and "text" in items[0]:
        fields = {"answers": f"{answers}.text", "answer_starts": f"{answers}.answer_start"}
        if "answer_start" not in items[0]:
            fields["answer_starts"] = None
        return _records(
            reader, records, names, _format(_ANSWERED), {"context": context, "question": question, **fields}
        )
    text, start = _named(names, ("answer_text", "answer")), _named(names, ("answer_start", "start"))
    if isinstance(records[0].get(text), str) and start is not None:
        fields = {"answers": [text], "answer_starts": [start]}
        return _records(
            reader, records, names, _format(_ANSWERED), {"context": context, "question": question, **fields}
        )
    return None


def _choice(file: File, records: list[Record], names: dict[str, Any], reader: str, second: File | None) -> Guess | None:
    choices: Any = _named(names, _CHOICES)
    if choices is None or not isinstance(records[0][choices], list):
        groups: dict[str, list[str]] = {}
        for name in names:
            if match := _NUMBERED.fullmatch(name):
                groups.setdefault(match[1], []).append(names[name])
        choices = max(groups.values(), key=len, default=[])
        if len(choices) < 2:
            return None
    rest = {name: field for name, field in names.items() if field != choices and field not in (choices or [])}
    label = _named(rest, _LABEL)
    context, question = _named(rest, _CONTEXT), _named(rest, _QUESTION)
    if (label is None and second is None) or (context is None and question is None):
        return None
    fields = {"context": context, "question": question, "choices": choices}
    found = _records(
        reader,
        records,
        names,
        _format({"context", "question", "choices", "label"}, int),
        fields | ({} if second else {"label": label}),
    )
    empty = {column: {None: ""} for column in ("context", "question") if fields[column] is None}
    if empty:
        found.part["replace"] = empty
    values = [line.strip() for line in second.lines()] if second else [record[label] for record in records]
    count = len(choices) if isinstance(choices, list) else max(len(record[choices]) for record in records)
    if numbers := _choice_numbers(label_names(values), count):
        found.part["map"] = numbers
    return found


def _choice_numbers(values: list[Any], count: int) -> dict[Any, int]:
    """What the labels of choices mean where they are letters, or numbers from 1 on."""
    texts = [str(value) for value in values]
    if all(re.fullmatch("[A-Ea-e]", text) for text in texts):
        return {letter: "ABCDE".index(letter.upper()) for letter in texts}
    if texts and all(text.isdecimal() for text in texts) and "0" not in texts and str(count) in texts:
        return {type(values[0])(number): number - 1 for number in range(1, count + 1)}
    return {}


def _texts(file: File, records: list[Record], names: dict[str, Any], reader: str, second: File | None) -> Guess | None:
    pair = next((pair for pair in _PAIRS if all(name in names for name in pair)), None)
    label = None if second else _named(names, _LABEL)
    if pair:
        text, text_pair = (names[name] for name in pair)
    else:
        text, text_pair = _named(names, _TEXT), None
        if text is None or (label is None and second is None):
            text, label = _likely(records, text, label)
    if text is None or (label is None and second is None):
        return None
    fields = {"text": text, "text_pair": text_pair} | ({} if second else {"label": label})
    values = [line.strip() for line in second.lines()] if second else [record.get(label) for record in records]
    if any(isinstance(value, list) for value in values):
        fields["labels"] = fields.pop("label")
        return _records(reader, records, names, _format({"text", "labels"}), fields)
    if _are_numbers(values):
        return _records(reader, records, names, _format({"text", "label"}, float), fields)
    found = _records(reader, records, names, _format({"text", "label"}), fields)
    if reader == "parquet" and label and (classes := parquet.class_names(file, label)):
        found.labels = classes
    elif any(not isinstance(value, str) for value in values if value is not None):
        found.part["map"] = {value: str(value).lower() for value in label_names(values)}
    return found


def _likely(records: list[Record], text: Any, label: Any) -> tuple[Any, Any]:
    """Text and label by their values: the one field of many different texts, the one of few values that come again."""
    values = {name: [record.get(name) for record in records] for name in records[0]}
    kinds = {name: {value for value in column if isinstance(value, str)} for name, column in values.items()}
    few = [name for name, kind in kinds.items() if 1 < len(kind) <= min(_MOST_LABELS, len(records) / 2)]
    many = [name for name, kind in kinds.items() if len(kind) > len(records) / 2 and any(" " in text for text in kind)]
    text = text if text is not None else many[0] if len(many) == 1 else None
    few = [name for name in few if name != text]
    return text, label if label is not None else few[0] if len(few) == 1 else None


def _are_numbers(values: list[Any]) -> bool:
    """Whether values are a scale and no classes: numbers, one of which is no whole one."""
    try:
        numbers = [float(value) for value in values if not isinstance(value, bool)]
    except (TypeError, ValueError):
        return False
    return len(numbers) == len(values) and any(number != int(number) for number in numbers if abs(number) < 1e9)


def _records(reader: str, records: list[Record], names: dict[str, Any], form: str, fields: dict[str, Any]) -> Guess:
    return Guess(form, {"reader": reader, "fields": _id(records, names) | fields})


def _id(records: list[Record], names: dict[str, Any]) -> dict[str, Any]:
    """The field `id`, where it names each record."""
    name = _named(names, ("id", "idx", "guid", "uid", "index_id"))
    values = [record.get(name) for record in records] if name is not None else []
    usable = values and all(type(value) in (str, int) and str(value).strip() for value in values)
    return {"id": name} if usable and len(set(values)) == len(values) else {}
