"""How much data there is: rows of a file, and tokens of a row.

Data that is prepared is counted, and a sample of it is read with the encoder's own tokenizer. Before that, rows are
those that the configuration and the task's file name, and a sample of the embedded world stands for its data. Where
there is nothing to read, `resources/lengths.tsv` has what is known or assumed of a task.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import ScratchEncoder
from intermezzo.dag.paths import DISJOINT, IN_ENGLISH, TRANSLATED
from intermezzo.tasks import RESOURCES, load_task
from intermezzo.tasks.formats import Format

TABLE = RESOURCES / "lengths.tsv"
SAMPLE = 64
"""Rows that are read of a file."""
LANGUAGES = 6
"""Languages of a task and split that are read; the others count as these do on average."""
PER_WORD, PER_CHARACTER = 1.26, 0.22
"""Tokens of XLM-R's vocabulary per word and per character, the larger of both counts (MNLI: 41.5 tokens a pair)."""
BYTES_PER_TOKEN = 2.7
"""Of text in a compressed file: four and a half characters, which shrink to less than two thirds."""
OF_SMALL_VOCABULARY = 1.15
"""Tokens per word of the embedded world, of a vocabulary that was trained on it (2,000 pieces, measured)."""


class Amount(NamedTuple):
    """A number of rows, and where it comes from."""

    rows: int
    basis: str


class Size(NamedTuple):
    """What one row becomes: so many inputs of the model with so many tokens in all, after cutting."""

    inputs: float
    tokens: float
    basis: str


class Assumption(NamedTuple):
    """A line of resources/lengths.tsv, or what a format assumes: tokens of the two texts of an input, inputs per row,
    rows of a file, and the source.
    """

    first: float
    second: float
    inputs: int
    rows: int
    source: str


class Amounts:
    """Rows and tokens of the data of a configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._rows: dict[tuple[str, str, str, str], Amount] = {}
        self._sizes: dict[tuple[Any, ...], Size] = {}
        self._samples: dict[tuple[str, str, str, str], list[dict] | None] = {}
        self._samples_read: dict[tuple[str, str], int] = {}

    def rows(self, task: str, language: str, split: str, source: str | None = None) -> Amount:
        """Rows of a task in a language and split. source: where they come from; None = the configured source."""
        source = source or self.config.data.source_of(task)
        key = (source, task, language, split)
        if key not in self._rows:
            self._rows[key] = self._count(*key)
        return self._rows[key]

    def size(self, task: str, language: str, split: str, encoder: str, length: int, stride: int) -> Size:
        """What a row becomes for an encoder that reads `length` tokens, contexts in windows overlapping by `stride`."""
        key = (task, language, split, encoder, length, stride)
        if key not in self._sizes:
            rows = self._sample(task, language, split)
            form = load_task(task).form
            examples = [form.model_inputs(row) for row in rows or ()]
            if examples:
                count, basis = _counter(self.config, encoder)
                token_counts = [[tuple(map(count, texts)) for texts in inputs] for inputs in examples]
            else:
                assumption = _assumption(task, split)
                inputs = form.assumed_inputs(assumption.first, assumption.second, split)
                token_counts, basis = [inputs * assumption.inputs], assumption.source
            sizes = [cut(form, inputs, length, stride) for inputs in token_counts]
            inputs, tokens = (sum(column) / len(sizes) for column in zip(*sizes, strict=True))
            self._sizes[key] = Size(inputs, tokens, basis)
        return self._sizes[key]

    def published_bytes(self, task: str, language: str, split: str, section: str) -> float:
        """About what the published files of a task in a language and split have, of one section of its file."""
        assumption = _assumption(task, split)
        tokens = (assumption.first + assumption.second) * assumption.inputs
        return _published(task, language, split, section).rows * tokens * BYTES_PER_TOKEN

    def _count(self, source: str, task: str, language: str, split: str) -> Amount:
        path = Path(f"results/data/{source}/{task}/{language}/{split}.parquet")
        if path.is_file():
            import pyarrow.parquet as pq

            return Amount(pq.read_metadata(path).num_rows, "prepared data")
        if source in (DISJOINT[0], IN_ENGLISH):
            return self.rows(task, language, split)
        if source in (TRANSLATED, DISJOINT[1]):
            return self.rows(task, "en", "train")
        data = self.config.data
        limit = data.rows.of(task, data.evaluation_split if split == "candidates" else split)
        if source == "world":
            from intermezzo import world

            embedded = world.build(self.config.world.model_dump())
            generator = load_task(task).sources.world.generator
            number = embedded.amount(generator, language, split)
            return Amount(number if limit is None or split == "candidates" else limit, "the configuration")
        number, basis = _published(task, language, split, source)
        whole = load_task(task).form.is_whole(split)
        return Amount(number if limit is None or whole else min(limit, number), basis)

    def _sample(self, task: str, language: str, split: str) -> list[dict] | None:
        source = self.config.data.source_of(task)
        key = (source, task, language, split)
        if key not in self._samples:
            file_set = (task, split)
            self._samples_read[file_set] = self._samples_read.get(file_set, 0) + 1
            read = self._read_rows if self._samples_read[file_set] <= LANGUAGES else self._pooled
            self._samples[key] = read(*key)
        return self._samples[key]

    def _pooled(self, source: str, task: str, language: str, split: str) -> list[dict]:
        """Rows of the languages that have been read, in place of one more."""
        samples = [rows for key, rows in self._samples.items() if (*key[:2], key[3]) == (source, task, split) and rows]
        return [row for rows in samples[:LANGUAGES] for row in rows[: SAMPLE // LANGUAGES]]

    def _read_rows(self, source: str, task: str, language: str, split: str) -> list[dict] | None:
        path = Path(f"results/data/{source}/{task}/{language}/{split}.parquet")
        if path.is_file():
            import pyarrow.parquet as pq

            return next(pq.ParquetFile(path).iter_batches(SAMPLE)).to_pylist()
        if source == "world":
            from intermezzo import world

            embedded, generator = world.build(self.config.world.model_dump()), load_task(task).sources.world.generator
            rows = min(SAMPLE, self.rows(task, language, split).rows)
            return embedded.rows(generator, language, split, rows)
        return None


def cut(form: Format, inputs: Sequence[tuple[float, ...]], length: int, stride: int) -> tuple[float, float]:
    """(inputs, tokens) of a row whose inputs have so many tokens per text."""
    counts = [form.token_counts(texts, length, stride) for texts in inputs]
    return sum(number for number, _ in counts), sum(tokens for _, tokens in counts)


def _counter(config: Config, encoder: str) -> tuple[Any, str]:
    """A function from a text to its number of tokens, and where it comes from."""
    path = Path(f"results/encoders/{encoder}/tokenizer.json")
    if path.is_file():
        tokenizer = _tokenizer(str(path))
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids), "a sample and the tokenizer"
    if isinstance(config.encoders[encoder], ScratchEncoder):
        return lambda text: len(text.split()) * OF_SMALL_VOCABULARY, "a sample and words"
    return lambda text: max(len(text.split()) * PER_WORD, len(text) * PER_CHARACTER), "a sample and words"


@cache
def _tokenizer(path: str) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _published(task: str, language: str, split: str, section: str) -> Amount:
    """The rows of published files, by a section of the task's file."""
    parts = load_task(task).sources.parts(section).get(language, {}).get(split, [])
    counts = [part.get("rows", part.get("unverified_rows")) for part in parts]
    if parts and None not in counts:
        return Amount(sum(counts), "the task's file")
    return Amount(_assumption(task, split).rows, "assumed rows")


def _assumption(task: str, split: str) -> Assumption:
    """What the table says of a task's split, else of the task, else of its format."""
    table = _table()
    return table.get(f"{task}/{split}") or table.get(task) or Assumption(*load_task(task).form.lengths, "assumed")


@cache
def _table() -> dict[str, Assumption]:
    with open(TABLE, encoding="utf-8", newline="") as handle:
        rows = csv.DictReader((row for row in handle if not row.startswith("#")), delimiter="\t")
        lines = {row["task"]: (float(row["first"]), float(row["second"]), row) for row in rows}
    return {
        task: Assumption(first, second, int(row["inputs"]), int(row["rows"]), row["source"])
        for task, (first, second, row) in lines.items()
    }
