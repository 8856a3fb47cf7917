"""What a task format is: one class that answers everything that the rest of the program asks about a format.

A format is at most three modules of the same name, which are found by that name and listed nowhere:

| module | holds |
|---|---|
| `tasks/formats/NAME.py` | a subclass of `Format`, and `FORMAT`, an instance of it |
| `modeling/heads/NAME.py` | how rows become features, the head with its loss, and predictions |
| `evaluation/metrics/NAME.py` | scores, and what a guess without a model scores (not for masked text) |

The defaults of `Format` are those of texts or pairs of texts with a gold column `label`, so a format like that is
short: `columns`, `metrics` and whatever it checks. Nothing here imports pyarrow or torch when it is loaded.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.tasks import submission_files

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Labels = Sequence[str]
"""The labels of a task, or the text "from_data" (any label)."""
FROM_DATA = "from_data"
_SHOWN = 5
"""Labels that a message names."""
_SPACES = string.whitespace + "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_SPACES += "\u2028\u2029\u202f\u205f\u3000\ufeff"


class Column(NamedTuple):
    """The type of a column: of its values or, with `many`, of the items of its lists."""

    item: type
    many: bool = False


TEXT, INTEGER, NUMBER = Column(str), Column(int), Column(float)
TEXTS, INTEGERS = Column(str, many=True), Column(int, many=True)


class Metric(NamedTuple):
    """A metric: its name, the smallest and the largest value that it can have, and which direction is better."""

    name: str
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True


class Lengths(NamedTuple):
    """What is assumed of a task's data before it can be counted.

    first, second: tokens of the first and the second text of an input. inputs: inputs of the model per row. rows: rows
    of a file.
    """

    first: float
    second: float
    inputs: int
    rows: int


class Passage(NamedTuple):
    """A long text to translate, and the characters [begin, end) that have to be found again in its translation."""

    text: str
    answer: tuple[int, int] | None


class Format:
    """The interface. Rows are dictionaries with a value for each of `columns`, the text `id` first.

    An edit of the members in `OUTSIDE_JOBS` reruns no job: plans, checks and submissions use them.
    """

    OUTSIDE_JOBS: ClassVar[frozenset[str]] = frozenset(
        {
            *("metrics", "metric", "lengths", "one_feature", "read_apart", "model_inputs", "assumed_inputs"),
            *("token_counts", "suffix", "unit", "official", "official_main", "parse", "read_submission"),
            *("render", "render_labels", "skill", "scored_by_item", "answers_in_text", "prompted"),
        }
    )

    # -- data ----------------------------------------------------------------------------------------------------

    columns: Mapping[str, Column]
    """Column -> type; the order of the columns is part of the format."""
    gold: str | None = "label"
    """The column of right answers; None: the answer to row i is i."""
    label_column: str | None = None
    """The column that holds names of classes, which a task file lists as `labels`; None where there are none."""
    nullable: tuple[str, ...] = ("text_pair",)
    """Columns that may be null."""
    splits: tuple[str, ...] = ("train", "dev", "test")
    """Which splits there are; `candidates` is what the queries of a ranking search in."""
    whole: bool = False
    """Whether rows of a split refer to each other, so that it is never cut to a sample."""
    paired_with_english: bool = False
    """Whether each row is about a language and its English translation, so that English itself is not evaluated."""
    normalised: bool = True
    """Whether sources may bring texts into Unicode NFC; not where offsets count the published characters."""

    @property
    def name(self) -> str:
        """The name of the format: that of its module."""
        return type(self).__module__.rpartition(".")[2]

    @cached_property
    def schema(self) -> pa.Schema:
        """The Parquet schema of `columns`."""
        import pyarrow as pa

        items = {str: pa.string(), int: pa.int32(), float: pa.float64()}
        kinds = {name: items[column.item] for name, column in self.columns.items()}
        return pa.schema({name: pa.list_(kind) if self.columns[name].many else kind for name, kind in kinds.items()})

    def is_whole(self, split: str) -> bool:
        """Whether published rows of a split are all taken, whatever number a configuration asks for."""
        return self.whole or split == "candidates"

    def omitted(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Those of `removable` that these rows do not have: "" in every one of them."""
        return tuple(name for name in self.removable if rows and all(row.get(name) == "" for row in rows))

    def empty(self, row: Row, omitted: Sequence[str] = ()) -> list[str]:
        """The columns of a row that lack a text, or hold one that is blank: the rule for all formats.

        omitted: columns that the rows do not have (`Format.omitted`).
        """
        return [name for name in self.columns if name not in omitted and self._is_empty(name, row[name])]

    def _is_empty(self, name: str, value: Any) -> bool:
        if value is None:
            return name not in self.nullable
        if self.columns[name].item is not str:
            return False
        return any(text is None or is_blank(text) for text in (value if self.columns[name].many else (value,)))

    def mend(self, column: str) -> str:
        """What to do about rows without a text in a column."""
        return "`drop: [empty]` in the task file leaves such rows out"

    def completed(self, row: Row) -> Row:
        """The row with what a published file may leave out."""
        return row

    def problems(self, row: Row, labels: Labels) -> Iterator[str]:
        """What is wrong with the values of a row whose columns are right and hold text, apart from its id."""
        if unknown := self.unknown_labels(row, labels):
            shown = ", ".join(excerpt(label) for label in unknown[:_SHOWN]) + (", ..." if unknown[_SHOWN:] else "")
            yield f"{self.label_column} {shown}; allowed: {', '.join(labels)}"

    def training_problems(self, row: Row) -> Iterator[str]:
        """What is wrong with a row that is trained on, and does not matter where it is only scored."""
        yield from ()

    def refused(self, rows: Sequence[Row], *, unanswerable: bool) -> str | None:
        """Why rows of a published file cannot be used, and the mend; None where they can.

        unanswerable: whether the task says that a question may have no answer.
        """
        return None

    def labels_of(self, row: Row) -> list[str]:
        """The names of classes that a row holds; none without `label_column`."""
        if self.label_column is None:
            return []
        value = row[self.label_column]
        return value if self.columns[self.label_column].many else [value]

    def unknown_labels(self, row: Row, labels: Labels) -> list[str]:
        """The labels of a row that the task does not have, sorted."""
        return [] if labels == FROM_DATA else sorted({str(label) for label in self.labels_of(row)} - set(labels))

    def renamed(self, row: Row, names: Mapping[str, str]) -> Row:
        """The row with labels renamed (old -> new)."""
        if self.label_column is None:
            return row
        labels = [names.get(label, label) for label in self.labels_of(row)]
        return row | {self.label_column: labels if self.columns[self.label_column].many else labels[0]}

    # -- training and prediction ---------------------------------------------------------------------------------

    trained: bool = True
    """Whether targets are fine-tuned with a head; where not, and with `metrics`, the encoder is evaluated as it is."""
    intermediate: bool = True
    """Whether it can be an intermediate task."""
    masked: bool = False
    """Whether it is text for masked language modelling, without any labels."""
    support: Literal["dev", "candidates"] | None = None
    """What predictions need beside test data: `dev` data of the language, or the `candidates` of all languages."""
    skill: str = ""
    """What its tasks ask for (`tasks.SKILLS`), where that is the same for all; a task file says it otherwise."""

    # -- controls ------------------------------------------------------------------------------------------------

    removable: tuple[str, ...] = ()
    """The fields that the partial-input control can take away (`partial_input` of a task file)."""

    def without(self, row: Row, field: str) -> Row:
        """The row without one of `removable`; the `premise` of a pair is its first text."""
        if field == "premise":
            return row | {"text": row["text_pair"], "text_pair": None}
        return row | {field: ""}

    def shuffled(self, rows: list[Row], rng: random.Random) -> list[Row]:
        """The rows with gold answers shuffled: their distribution stays, their connection with the inputs goes."""
        return permuted(rows, str(self.gold), rng)

    def as_text(self, row: Row) -> list[tuple[str, str | None]]:
        """The inputs of a row as (segment, second segment or None), for masked language modelling without labels."""
        return [(row["text"], row["text_pair"])]

    # -- translation ---------------------------------------------------------------------------------------------

    translatable: bool = True
    """Whether a model can translate rows; not where labels belong to single words."""

    answers_in_text: bool = False
    """Whether right answers are pieces of a text, which a translation has to carry over."""

    def texts(self, row: Row) -> list[str | Passage]:
        """The texts of a row that are translated; "" stands for one that is missing."""
        return [row["text"], row["text_pair"] or ""]

    def translated(self, row: Row, texts: Sequence[Any]) -> Row:
        """The row with the translations of `texts`, in their order and of their types."""
        text, pair = texts
        return row | {"text": text, "text_pair": pair if row["text_pair"] else row["text_pair"]}

    # -- scores --------------------------------------------------------------------------------------------------

    metrics: tuple[Metric, ...] = ()
    """The metrics that its scorer gives, the main one first; none for masked text."""

    scored_by_item: bool = False
    """Whether a single row can be scored, so that the main metric is, about, the mean over rows."""

    def metric(self, name: str) -> Metric:
        """The metric of that name; raises UserError for one that the format does not have."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        names = [metric.name for metric in self.metrics]
        raise UserError(f"format {self.name}: unknown metric '{name}'; {suggestion(name, names)}")

    # -- language models -----------------------------------------------------------------------------------------

    prompted: bool = False
    """Whether a language model can be asked for the answers: to choose one, or to write it."""

    def choices(self, row: Row, answers: Mapping[str, str]) -> list[str]:
        """What a language model chooses from; none: it writes its answer. answers: label -> how it is said."""
        return []

    def solution(self, row: Row, answers: Mapping[str, str]) -> str | None:
        """The right answer in words; None where there is none."""
        return None

    def chosen(self, number: int, labels: Sequence[str]) -> Any:
        """The prediction that a choice is (0 = the first), as the scorer takes it."""
        return number

    # -- planning ------------------------------------------------------------------------------------------------

    lengths: Lengths = Lengths(25, 15, 1, 5000)
    """For tasks without a line in resources/lengths.tsv."""
    one_feature: bool = False
    """Whether a row is one training example, however many inputs of the model it has."""
    read_apart: bool = False
    """Whether the texts of a row are inputs of their own, not one input together."""

    def model_inputs(self, row: Row) -> list[tuple[str, ...]]:
        """The inputs of the model that a row becomes: tuples of one text or two."""
        texts = tuple(text for text in (row["text"], row.get("text_pair")) if text)
        return [(text,) for text in texts] if self.read_apart else [texts]

    def assumed_inputs(self, first: float, second: float, split: str) -> list[tuple[float, ...]]:
        """The token counts of an input, for which `Lengths` has `first` and `second`."""
        return [(first, second)]

    def token_counts(self, texts: tuple[float, ...], length: int, stride: int) -> tuple[float, float]:
        """(inputs, tokens) that an input of so many tokens per text becomes when it is cut to `length` tokens.

        Special tokens are added as XLM-R has them. stride: by how many tokens windows overlap, where there are any.
        """
        return 1, min(length, sum(texts) + (4 if len(texts) > 1 and texts[1] else 2))

    # -- submissions to benchmarks, in the layout of XTREME ------------------------------------------------------

    suffix: str = "tsv"
    """The ending of a submission's files."""
    unit: str = "lines"
    """What a file has as many of as there are examples."""
    official_main: tuple[str, ...] = ()
    """Official metrics whose mean is the one number of a task; () = the first of `official`."""

    @property
    def official(self) -> Mapping[str, str]:
        """Official name of a metric -> key of the scorer's values, the main one first.

        The scorer's values are those of `official_scores`, where it has that function, else of `score`. `{rules}` in a
        key stands for the rules that the benchmark's description names for the task.
        """
        return {metric.name: metric.name for metric in self.metrics[:1]}

    def parse(self, path: Path) -> list[Any]:
        """The examples of one file of a submission or of its labels. Raises UserError for a file of another layout."""
        return submission_files.lines(path)

    def read_submission(
        self, predictions: Path, labels: Path, note: submission_files.Note
    ) -> tuple[list[Any], list[Any]]:
        """Predictions and labels of a language, example by example, as the scorer takes them.

        What is missing or too much without being an error goes to `note`. Raises UserError for files of another
        layout, labels without an example, and files that are not about the same number of examples.
        """
        ours, gold = self.parse(predictions), self.parse(labels)
        submission_files.require_examples(gold, labels)
        if len(ours) != len(gold):
            raise UserError(
                f"{predictions}: {len(ours)} {self.unit}, but {len(gold)} in {labels}; one for each is needed"
            )
        return ours, gold

    def render(self, rows: Sequence[Row], column: str | None, names: Mapping[str, str]) -> str:
        """The text of a file with the values of a column of `rows`: `prediction`, or `gold`.

        names: our label -> the benchmark's, where they differ.
        """
        return submission_files.joined(names.get(row[str(column)], row[str(column)]) for row in rows)

    def render_labels(self, rows: Sequence[Row], names: Mapping[str, str]) -> str:
        """The text of the file with the right answers."""
        return self.render(rows, self.gold, names)


def is_blank(text: str) -> bool:
    """Whether a text is empty, or holds nothing but spaces, line ends and byte order marks."""
    return isinstance(text, str) and not text.strip(_SPACES)


def stands_at(answer: str, context: str, start: int) -> bool:
    """Whether an answer, which is not blank, is what stands at a character of its context."""
    return start >= 0 and not is_blank(answer) and context[start : start + len(answer)] == answer


def is_withheld(tokens: Sequence[str]) -> bool:
    """Whether most words of a sentence are `_`, by which treebanks stand for words that they may not publish."""
    return tokens.count("_") * 2 >= len(tokens) > 0


def permuted(rows: list[Row], column: str, rng: random.Random) -> list[Row]:
    """The rows with the values of a column moved between them at random."""
    values = [row[column] for row in rows]
    rng.shuffle(values)
    return [row | {column: value} for row, value in zip(rows, values, strict=True)]
