"""The specification of a fine-tuning: an intermediate (several tasks, a mix of languages) or a target."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intermezzo.specs.base import Count, Natural, NonNegative, Positive, Seed, Share, Spec
from intermezzo.specs.encoding import HeadSpec, Pooling
from intermezzo.specs.mixes import ENGLISH, MATCHED, MixSettings, Portion
from intermezzo.specs.optimisation import Optimisation
from intermezzo.specs.tasks import TaskSpec

Sampling = Literal["proportional", "uniform", "temperature", "in_turn"]
"""How tasks share the steps: by size, evenly, by size^(1/temperature), or one after the other."""


ALIGNMENT = "alignment"
"""The head of realignment, and the first part of the names of files with alignments of words."""


class Alignment(Spec):
    """Realignment of the states of sentences, or of their words, with those of their English translations."""

    level: Literal["sentence", "word", "both"]
    temperature: Positive
    layer: Natural | None = None
    """Whose states are compared (0 = embeddings); None = the last one."""
    layers: Literal["all", "lower", "upper"] = "all"
    """Which weights the pairs train; lower: the embeddings and the first half of the layers."""
    regulariser: NonNegative
    """Weight of the distance of English states from those before training."""
    match_layer: Natural | None = None
    """Whose states match words; None = the last one."""
    from_files: bool = False
    """Whether alignments of words are read from files."""

    @property
    def matches(self) -> bool:
        """Whether words are matched by the encoder as it was."""
        return self.level != "sentence" and not self.from_files


class AlignmentHead(HeadSpec):
    """The head of realignment."""

    align: Alignment


class TrainedTask(TaskSpec):
    """A task to train on."""

    head: str
    """Name of its head; tasks of one head share it."""
    shuffle_labels: bool
    """Control: train on shuffled labels."""
    as_text: bool = False
    """Control: masked language modelling on the inputs, without the labels."""
    examples: Count | None
    """Examples of English-only training; None = all there are."""
    portions: tuple[Portion, ...]
    """What each name of the mix means for this task."""
    shots: dict[str, Count] = Field({})
    """Language -> examples on top of those that the mix divides."""
    align: Alignment | None = None
    """Realign on its pairs, which have no labels."""

    def head_spec(self, pooling: Pooling, dropout: float = 0.0) -> HeadSpec:
        """The task's head."""
        if self.align is None:
            return super().head_spec(pooling, dropout)
        return AlignmentHead(pooling=pooling, dropout=dropout, align=self.align)


class TrainingSettings(Optimisation):
    """Settings of one phase of fine-tuning."""

    epochs: Count
    max_length: Count
    """Tokens per input; longer ones are cut (span: windowed)."""
    stride: Count
    """Tokens by which two windows of a long context overlap."""
    dropout: Share
    """Of encoder and head."""
    pooling: Literal["cls", "cls_mean_max"]
    """What sequence-level heads read."""
    freeze_embeddings: bool = False
    """Keep the word embeddings fixed."""
    restrict_vocabulary: bool = True
    """Train only the word embeddings that occur."""


class FinetuneSpec(Spec):
    """A training on labelled tasks."""

    phase: Literal["intermediate", "target"]
    seed: Seed
    tasks: Annotated[tuple[TrainedTask, ...], Field(min_length=1)]
    sampling: Sampling
    cap: Count | None = None
    """Sizes above this count as this."""
    temperature: Positive = 1.0
    """Of `temperature` sampling."""
    mix: MixSettings = MATCHED
    continued_mlm: dict[str, Share] = Field({})
    """Task of text -> share of the batches that are masked text of it."""
    training: TrainingSettings
    threads: Count
    processes: Count = 1
    """Processes that train together."""

    @property
    def data_names(self) -> tuple[str, ...]:
        """TASK/LANGUAGE of every file that the training reads, alignment/LANGUAGE of alignments of words."""
        names = [f"{task.name}/{language}" for task in self.tasks for language in self._languages(task)]
        aligned = (task for task in self.tasks if task.align is not None and task.align.from_files)
        return (*names, *(f"{ALIGNMENT}/{language}" for task in aligned for language in self._languages(task)))

    def _languages(self, task: TrainedTask) -> tuple[str, ...]:
        """Languages whose data a task reads: those of its portions; the control that repeats English reads no other."""
        if self.mix.budget == "english_repeated" and task.name not in self.continued_mlm:
            return (ENGLISH, *task.shots)
        mixed = (language for portion in task.portions for language in portion.languages)
        return tuple(dict.fromkeys((*mixed, *task.shots)))
