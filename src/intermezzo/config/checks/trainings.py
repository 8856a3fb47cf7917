"""What intermediates and targets are trained on, and translations for it."""

from __future__ import annotations

from collections.abc import Iterator

from intermezzo.config import catalogue
from intermezzo.config.checks.common import known_tasks, repeated, source_of, target_mixes, trainable, unknown_languages
from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import ScratchEncoder
from intermezzo.config.sections.intermediates import IntermediateConfig, Realignment
from intermezzo.config.settings import protocol_of, retrieval_of, training_tasks
from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.places import locate, looked_up
from intermezzo.mixing import ENGLISH
from intermezzo.tasks import Task, load_task, task_names


def check_translation(config: Config) -> Iterator[str]:
    """What translated mixes need of `translation`."""
    mixes = _translated(config, [*config.grid.mixes, *target_mixes(config)])
    how, key = config.translation, "translation"
    if not mixes:
        return
    if (how.backend == "world") != (config.data.source == "world"):
        fitting = "world" if config.data.source == "world" else "hub or files"
        yield f"{key}.backend: '{how.backend}' does not fit data.source '{config.data.source}'; set it to {fitting}"
    if how.backend != "hub":
        return
    if not how.model:
        yield f"{key}.model: missing; backend hub needs the folder or name of a sequence-to-sequence model"
    else:
        try:
            is_folder = locate(how.model).is_dir()
        except ValueError as error:
            yield f"{key}.model: {error}"
            return
        if not how.revision and not is_folder:
            yield (
                f"{key}.revision: missing; a name on the hub needs the commit that is meant "
                f"(there is no folder {looked_up(how.model)})"
            )
    yield from unknown_languages(f"{key}.languages", [*how.languages], (*catalogue.language_table(config),))
    if not how.languages:
        yield f"{key}.languages: empty; name the languages to translate into, as the model calls them (sw: swh_Latn)"
    for name in config.grid.intermediates:
        for mix in _translated(config, config.mixes_of(name))[:1]:
            for task in known_tasks(config.tasks_of(name)):
                if not task.form.translatable:
                    yield (
                        f"{key}: a model cannot translate '{task.name}' ({task.format}), which '{name}' is trained on; "
                        f"leave mix '{mix}' out of intermediates.{name}.mixes, or '{name}' out of the grid"
                    )
    for name in config.grid.targets:
        if _translated(config, [config.target(name).mix or ""]):
            for task in known_tasks([config.task_of(name)]):
                if task.form.trained and not task.form.translatable:
                    text = f"'{task.name}' ({task.format})"
                    yield f"{key}: a model cannot translate {text}; give targets.{name} another mix"


def _translated(config: Config, mixes: list[str]) -> list[str]:
    return [mix for mix in mixes if mix in config.mixes and config.mixes[mix].translated]


def check_intermediates(config: Config) -> Iterator[str]:
    """Tasks, mixes and text of each intermediate."""
    for name in config.grid.intermediates:
        entry, tasks, key = config.intermediate(name), config.tasks_of(name), f"intermediates.{name}"
        if not tasks:
            yield f"{key}.tasks: the list is empty; name at least one task"
        yield from repeated(f"{key}.tasks", tasks)
        yield from _own_mixes(config, key, name, entry)
        if entry.shuffle_labels and entry.as_text:
            yield f"{key}: shuffle_labels and as_text are two controls; choose one"
        if entry.align and (entry.shuffle_labels or entry.as_text):
            yield f"{key}: pairs of translations have no labels; remove shuffle_labels and as_text, or align"
        if entry.mlm.share:
            yield from _continued(config, key, entry, tasks)
        if entry.align is not None:
            yield from _aligned(config, key, name, entry.align)
        for task in known_tasks(entry.tasks or []):
            if not task.form.intermediate:
                yield f"{key}.tasks: '{task.name}' ({task.format}) cannot be trained on; {suggestion('', trainable())}"
            elif task.form.masked and (entry.shuffle_labels or entry.as_text):
                yield f"{key}: '{task.name}' is text without labels; remove shuffle_labels and as_text"
            elif not catalogue.languages_with(config, task, "train"):
                yield f"{key}.tasks: '{task.name}' has no training data in source '{source_of(config, task)}'"


def _aligned(config: Config, key: str, name: str, align: Realignment) -> Iterator[str]:
    """The pairs of a realignment, the mixes that divide them, its layers, and files of aligned words."""
    paired = [task for task in task_names() if load_task(task).form.paired_with_english]
    if align.task not in paired:
        yield f"{key}.align.task: '{align.task}' has no pairs with English; {suggestion(align.task, paired)}"
        return
    task = load_task(align.task)
    if not catalogue.pair_languages(config, task):
        yield f"{key}.align.task: '{task.name}' has no training data in source '{source_of(config, task)}'"
        return
    languages: dict[str, None] = {}
    for mix in config.mixes_of(name):
        entry = config.mixes.get(mix)
        if entry is None:
            continue
        if (entry.budget, entry.unit, entry.translated) != ("matched", "examples", False):
            yield (
                f"{key}.align: mix '{mix}' is not for pairs with English, of which a fixed number is divided (budget "
                f"matched, unit examples, translated false); name others in {key}.mixes"
            )
            continue
        try:
            languages |= dict.fromkeys(catalogue.mix_languages(config, mix, task))
        except UserError:
            continue  # `check_mixes` says it
    if align.alignments is not None:
        yield from _alignment_files(key, align, list(languages))
    for encoder in config.grid.encoders:
        shape = config.encoders.get(encoder)
        if isinstance(shape, ScratchEncoder) and align.layers == "upper":
            bound, last = (shape.model.layers + 1) // 2, shape.model.layers if align.layer is None else align.layer
            if last <= bound:
                yield (
                    f"{key}.align.layers: 'upper' trains what comes after layer {bound} of encoder '{encoder}', and "
                    f"the loss reads layer {last}; write lower or all, or a higher layer"
                )
        for layer_key, layer in (("layer", align.layer), ("match_layer", align.match_layer)):
            if isinstance(shape, ScratchEncoder) and layer is not None and layer > shape.model.layers:
                depth = shape.model.layers
                yield f"{key}.align.{layer_key}: {layer}, but encoder '{encoder}' has {depth} (0 = embeddings)"


def _alignment_files(key: str, align: Realignment, languages: list[str]) -> Iterator[str]:
    """Alignments of words are there for every language, and words are what is compared."""
    place = str(align.alignments)
    if align.level == "sentence":
        yield f"{key}.align.alignments: {place}: sentences need no words; write `level: word` (or both), or remove it"
        return
    try:
        folder = locate(place)
    except ValueError as error:
        yield f"{key}.align.alignments: {error}"
        return
    missing = [f"{code}.txt" for code in languages if not (folder / f"{code}.txt").is_file()]
    if missing:
        yield (
            f"{key}.align.alignments: {', '.join(missing)} missing in {looked_up(place)}; each language of the mixes "
            "needs a file (docs/rivals.md)"
        )


def _own_mixes(config: Config, key: str, name: str, entry: IntermediateConfig) -> Iterator[str]:
    """The mixes that an intermediate is trained in, where it does not take all."""
    chosen = entry.mixes or []
    for mix in chosen:
        if mix not in config.mixes:
            yield f"{key}.mixes: unknown mix '{mix}'; {suggestion(mix, config.mixes)}"
    yield from repeated(f"{key}.mixes", chosen)
    if entry.mixes is not None and config.grid.mixes and not config.mixes_of(name):
        listed = ", ".join(chosen) or "an empty list"
        yield f"{key}.mixes: {listed}: none of grid.mixes; name some of {', '.join(config.grid.mixes)}, or write null"


def _continued(config: Config, key: str, entry: IntermediateConfig, tasks: list[str]) -> Iterator[str]:
    """The text that goes on beside the tasks of an intermediate."""
    texts = [name for name in task_names() if load_task(name).form.masked]
    if entry.mlm.task not in texts:
        yield f"{key}.mlm.task: '{entry.mlm.task}' is no text to mask; {suggestion(entry.mlm.task, texts)}"
        return
    if entry.mlm.task in tasks:
        yield f"{key}.mlm.task: '{entry.mlm.task}' is one of the tasks already; name another, or take it out of them"
    languages = catalogue.languages_with(config, load_task(entry.mlm.task), "train")
    if not languages:
        source = source_of(config, load_task(entry.mlm.task))
        yield f"{key}.mlm.task: '{entry.mlm.task}' has no text in source '{source}'"
    if isinstance(entry.mlm.languages, list):
        yield from unknown_languages(f"{key}.mlm.languages", entry.mlm.languages, languages)


def check_targets(config: Config) -> Iterator[str]:
    """Task, training data, protocol and controls of each target."""
    reached: set[str] = set()
    for name in config.grid.targets:
        entry, key = config.target(name), f"targets.{name}"
        for task in known_tasks([config.task_of(name)]):
            if not task.metrics:
                yield f"{key}.task: '{task.name}' is text to pretrain on, not a target"
                continue
            languages = catalogue.evaluation_languages(config, task)
            reached.update(languages)
            if not languages:
                split = config.data.evaluation_split
                source = source_of(config, task)
                yield f"{key}: task '{task.name}' has no {split} data in the evaluation languages (source '{source}')"
            if task.form.trained:
                yield from _trained_on(config, key, name, task)
            yield from _protocol(config, key, name, task)
            if entry.partial_input and task.partial_input is None:
                yield f"{key}.partial_input: task '{task.name}' names no field that could be left out"
            if not task.form.trained:
                if entry.partial_input or entry.shuffle_labels or entry.train or entry.mix or entry.shots:
                    keys = "train, mix, shots, partial_input and shuffle_labels"
                    yield f"{key}: {task.format} is not trained: remove {keys}"
                yield from _layers(config, key, retrieval_of(config, name, task).layer)
    chosen = config.languages.evaluation
    for code in chosen if isinstance(chosen, list) and reached else ():
        if code not in reached and code in catalogue.source_languages(config):
            yield f"languages.evaluation: no target has data in '{code}'; {suggestion(code, reached)}"


def _trained_on(config: Config, key: str, name: str, task: Task) -> Iterator[str]:
    """The tasks that train a target have its format, its labels, and English data."""
    chosen = training_tasks(config, name, task)
    if not chosen:
        yield f"{key}.train: the list is empty; name a task, or write null for the task file's own"
    yield from repeated(f"{key}.train", chosen)
    for used in chosen:
        if used not in task_names():
            yield f"{key}.train: unknown task '{used}'; {suggestion(used, trainable())}"
            continue
        data = load_task(used)
        if (data.format, set(data.labels)) != (task.format, set(task.labels)):
            alike = [n for n in trainable() if (t := load_task(n)).format == task.format and t.labels == task.labels]
            hint = suggestion("", alike)
            yield f"{key}.train: '{used}' has another format or other labels than '{task.name}'; {hint}"
        if config.target(name).mix is None and ENGLISH not in catalogue.languages_with(config, data, "train"):
            source = source_of(config, data)
            yield (
                f"{key}: it trains on English data of '{used}', and there is none in source '{source}'; name another "
                f"task in {key}.train, another source in data.sources.{used}, or the languages in {key}.mix"
            )
    yield from _few_shots(config, key, name, chosen)


def _few_shots(config: Config, key: str, name: str, chosen: list[str]) -> Iterator[str]:
    """Languages beside the mix: each has data in the last task of a target's training, and enough of it."""
    mix = config.target(name).mix
    if mix is not None and mix not in config.mixes:
        yield f"{key}.mix: unknown mix '{mix}'; {suggestion(mix, config.mixes)}"
        return
    for task in known_tasks(chosen[-1:]):
        rows = config.data.rows.of(task.name, "train")
        for code, count in catalogue.shots_of(config, name, task).items():
            if rows is not None and count > rows:
                yield f"{key}.shots: {count} examples of '{code}', but data.rows.train takes {rows} of '{task.name}'"


def _protocol(config: Config, key: str, name: str, task: Task) -> Iterator[str]:
    protocol = protocol_of(config, name)
    protocols = task.protocol.names()
    if protocol and protocol not in protocols and (protocols or config.target(name).protocol):
        yield f"{key}.protocol: '{protocol}' is no protocol of task '{task.name}'; {suggestion(protocol, protocols)}"


def _layers(config: Config, key: str, layer: int) -> Iterator[str]:
    for name in config.grid.encoders:
        encoder = config.encoders.get(name)
        if isinstance(encoder, ScratchEncoder) and layer > encoder.model.layers:
            yield f"{key}.retrieval.layer: {layer}, but encoder '{name}' has {encoder.model.layers} (0 = embeddings)"
