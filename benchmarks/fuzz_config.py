"""Malformed and odd configurations: each must end in one short message and exit status 2, or be rightly accepted.

    python benchmarks/fuzz_config.py --cases 1000 --seed 0 --json fuzz_config.json

A case is a folder with an overlay, perhaps a task file of one's own, and perhaps `--config` strings, made from a valid
one by a mutation of which it is known whether the result must be refused (`MUTATIONS`). Every case goes through `config
check` (the real command line, in a forked child with limits of time and memory), some also through `snakemake -n`,
which must agree. Counted are clean endings, tracebacks, what was wrongly accepted or refused, messages that are not
short, and hangs. Files at which Snakemake itself fails, before it reads the Snakefile, are counted as `snakemake`:
nobody gets before that, and `config check` must say it well.
"""

from __future__ import annotations

import argparse
import codecs
import gc
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from snakemake.cli import parse_config

from intermezzo import tasks
from intermezzo.cli.main import main as command_line
from intermezzo.config import load
from intermezzo.config.models import Config
from intermezzo.config.sections.base import Section
from intermezzo.config.sections.encoders import ScratchEncoder
from intermezzo.config.sections.intermediates import IntermediateConfig, MixConfig
from intermezzo.config.sections.targets import TargetConfig
from intermezzo.core.errors import UserError
from intermezzo.dag import preflight  # noqa: F401 - imported once, not in every child

ROOT = Path(__file__).resolve().parent.parent
SECONDS, MEMORY = 20, 3 * 2**30
LONGEST, LINES = 1100, 110
"""Of a message: characters of a line, and lines."""
FAULTS = ("traceback", "accepted_wrong", "refused_wrong", "long_message", "hang", "disagree")

BASE: dict[str, Any] = {
    "grid": {"encoders": ["tiny"], "intermediates": ["both"], "mixes": ["en", "half"], "targets": ["nli", "p"],
    "seeds": [0]},
    "languages": {"evaluation": ["en", "nor", "fri"], "rare": ["fri"], "selection": ["en"]},
    "data": {"rows": {"train": 200, "test": 40}, "evaluation_split": "test"},
    "world": {"documents_scale": 0.05, "names_shared": True, "seed": 3},
    "encoders": {
        "tiny": {
            "languages": ["en", "nor", "fri"],
            "tokenizer": {"vocab_size": 600},
            "model": {"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64, "max_length": 128},
            "mask_rate": 0.3,
            "training": {"steps": 20, "learning_rate": 0.003, "batch_size": 8},
            "baseline_only": False,
        }
    },
    "intermediates": {"both": {"tasks": ["nli", "qa"], "sampling": "temperature", "temperature": 2.0,
    "shuffle_labels": False}},
    "mixes": {"half": {"weights": {"en": 0.5, "@rare": 0.5}, "budget": "matched", "repeats": 3, "translated": False}},
    "targets": {"p": {"task": "pos", "training": {"epochs": 2}}},
    "training": {
        "intermediate": {"examples": 96, "epochs": 1},
        "target": {"examples": 64, "epochs": 1, "learning_rate": 0.001, "dropout": 0.1, "max_length": 64},
        "tasks": {"nli": {"target": {"examples": 64, "epochs": 1}}},
    },
    "keep": {"target": "none"},
    "threads": 1,
    "track_versions": False,
}  # fmt: skip
TASK: dict[str, Any] = {
    "description": "Is a review good or bad?",
    "format": "classification",
    "skill": "sentiment",
    "labels": ["good", "bad"],
    "metrics": ["accuracy"],
    "licence": "reviews: CC0 1.0",
    "protocol": {"settings": {"paper": {"epochs": 3, "learning_rate": 2e-5}}},
    "sources": {
        "world": {"generator": "nli", "map": {"entailment": "good", "neutral": "bad", "contradiction": "bad"}},
        "files": {
            "each": [
                {
                    "languages": {"en": "eng", "sw": "swa"},
                    "splits": {"train": "train", "test": "test"},
                    "part": {"reader": "jsonl", "path": "{code}/{split}.jsonl"},
                    "rows": {"test": {"sw": 10}},
                }
            ]
        },
    },
}
ENTRIES = {("encoders", "tiny"): ScratchEncoder, ("intermediates", "both"): IntermediateConfig}
ENTRIES |= {("mixes", "half"): MixConfig, ("targets", "p"): TargetConfig}


class Case(NamedTuple):
    """One configuration. refused: whether it must be; None where nobody knows."""

    kind: str
    overlay: bytes
    refused: bool | None
    task: bytes | None = None
    arguments: tuple[str, ...] = ()


class Leaf(NamedTuple):
    """A key with a plain value."""

    path: tuple[str, ...]
    kind: Any
    marks: list[Any]

    @property
    def least(self) -> Any:
        """Its bound below, and whether it is inclusive."""
        return next(
            ((m.ge, True) if isinstance(m, Ge) else (m.gt, False) for m in self.marks if isinstance(m, Ge | Gt)), None
        )

    @property
    def most(self) -> Any:
        """Its bound above, and whether it is inclusive."""
        return next(
            ((m.le, True) if isinstance(m, Le) else (m.lt, False) for m in self.marks if isinstance(m, Le | Lt)), None
        )


def leaves(model: type[Section], path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """The keys with numbers, truth values and words of a section and those in it."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from leaves(field.annotation, here)
        elif (leaf := _leaf(field)) is not None:
            yield Leaf(here, *leaf)


def _leaf(field: FieldInfo) -> tuple[Any, list[Any]] | None:
    kind, marks = field.annotation, [*field.metadata]
    for option in typing.get_args(kind) if type(None) in typing.get_args(kind) else ():
        if typing.get_origin(option) is typing.Annotated or option in (int, float):
            kind = option
    while typing.get_origin(kind) is typing.Annotated:
        kind, *more = typing.get_args(kind)
        marks += more
    marks = [part for mark in marks for part in ([mark] if not isinstance(mark, FieldInfo) else mark.metadata)]
    return (kind, marks) if kind in (int, float, bool) or typing.get_origin(kind) is typing.Literal else None


LEAVES = [leaf for leaf in leaves(Config) if leaf.path[0] not in ("encoders", "intermediates", "mixes", "targets")]
LEAVES += [leaf for path, model in ENTRIES.items() for leaf in leaves(model, path)]
SECTIONS = sorted({leaf.path[:-1] for leaf in LEAVES if leaf.path[:-1]})


def put(tree: Any, path: tuple[str, ...], value: Any) -> Any:
    """Set the value at a key path; changes `tree` and returns it."""
    inner = tree
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    inner[path[-1]] = value
    return tree


def dump(value: Any, drawn: random.Random | None = None) -> bytes:
    """As YAML, in one of its styles, or as JSON."""
    style = drawn.choice(["block", "flow", "json", "tabbed json", "bom", "crlf", "comments"]) if drawn else "block"
    if style.endswith("json"):
        return json.dumps(value, indent="\t" if style == "tabbed json" else 1).encode()
    text = yaml.safe_dump(value, default_flow_style=style == "flow", allow_unicode=True, sort_keys=False)
    if style == "comments":
        text = "# ein Kommentar: àlàyé\n\n" + text.replace("\n", "  # x\n", 3)
    data = text.encode()
    return codecs.BOM_UTF8 + data if style == "bom" else data.replace(b"\n", b"\r\n") if style == "crlf" else data


# -- mutations -----------------------------------------------------------------------------------------------------

MUTATIONS: list[tuple[Callable[[random.Random], Case], int]] = []


def mutation(weight: int = 1) -> Callable[[Any], Any]:
    """Register a function that draws a case."""

    def register(function: Any) -> Any:
        MUTATIONS.append((function, weight))
        return function

    return register


@mutation(3)
def valid(drawn: random.Random) -> Case:
    base = deepcopy(BASE)
    for _ in range(drawn.randrange(4)):
        change = drawn.choice([
            lambda: put(base, ("threads",), drawn.choice([1, 2, "2", 1024])),
            lambda: put(base, ("training", "target", "learning_rate"), drawn.choice(["1e-5", 1, "0.1", 5e-324])),
            lambda: put(base, ("track_versions",), drawn.choice([True, "true", "yes", "False"])),
            lambda: put(base, ("targets", "qa"), drawn.choice([None, "null", {}])),
            lambda: put(base, ("training", "target", "micro_tokens"), drawn.choice([None, "null", "~", 100, "4096"])),
            lambda: put(base, ("grid", "seeds"), drawn.choice([["0", "1"], [2**31 - 1], [0, 1, 2]])),
            lambda: put(put(base, ("mixes", "m" * 100), {"weights": {"en": 1, "nor": 2}}), ("grid", "mixes"), ["en",
            "m" * 100]),
            lambda: put(base, ("mixes", "half", "weights"), {"en": "0.5", "@family:west": 0, "rest": 1e-3}),
            lambda: put(base, ("encoders", "other"), {"from": "a/b"}),
            lambda: put(base, ("data", "downloads"), "x" * 200),
        ])  # fmt: skip
        change()
    return Case("valid", dump(base, drawn), False)


@mutation(6)
def wrong_type(drawn: random.Random) -> Case:
    leaf = drawn.choice(LEAVES)
    wrong: list[Any] = [{"a": 1}, [1], [], {}, "1 2", "abc", "1e", "--1", "0x", "é", "1,5"]
    wrong += [True, False] if leaf.kind in (int, float) else []
    wrong += [1.5, "1.5", "1e3", 1e300, 2**70] if leaf.kind is int else []
    wrong += [5, 0, 1, 1.0, "2"] if leaf.kind is bool else []
    wrong += [5, True, "All", "nonsense"] if typing.get_origin(leaf.kind) is typing.Literal else []
    return Case("type", dump(put(deepcopy(BASE), leaf.path, drawn.choice(wrong))), True)


@mutation(6)
def out_of_bounds(drawn: random.Random) -> Case:
    leaf = drawn.choice([leaf for leaf in LEAVES if leaf.kind in (int, float)])
    wrong: list[Any] = [float("nan"), float("inf"), float("-inf"), -1e300, 10**30, 1e18, 1e300, 10**400, 10**5000]
    if leaf.least:
        wrong += [leaf.least[0] - 1, leaf.least[0] - 10**6] + ([] if leaf.least[1] else [leaf.least[0]])
    if leaf.most:
        wrong += [leaf.most[0] + 1, leaf.most[0] * 10 + 1] + ([] if leaf.most[1] else [leaf.most[0]])
    value = drawn.choice(wrong)
    sys.set_int_max_str_digits(0)
    text = dump(put(deepcopy(BASE), leaf.path, value))
    sys.set_int_max_str_digits(4300)
    return Case("bounds", text, True)


@mutation(3)
def unknown_key(drawn: random.Random) -> Case:
    section = drawn.choice([(), *SECTIONS])
    key = drawn.choice(["gird", "x", "", "a b", "é", "k" * 300, "k" * 100_000, "__use_yte__", "from ", "0", "null"])
    base = put(deepcopy(BASE), (*section, key), drawn.choice([1, {}, None, "x"]))
    return Case("unknown key", dump(base), True)


@mutation(3)
def section_of_another_type(drawn: random.Random) -> Case:
    section = drawn.choice([*SECTIONS, *((name,) for name in ("mixes", "targets", "encoders", "intermediates"))])
    value = drawn.choice([5, "x", ["a"], [], True, 1.5, [[]], "x" * 10_000])
    return Case("section", dump(put(deepcopy(BASE), section, value)), True)


@mutation(4)
def bad_name(drawn: random.Random) -> Case:
    name = drawn.choice([
        "none", "a b", "../x", "a/b", "/", "", ".x", "-x", "x" * 101, "x" * 255, "x" * 300, "x" * 100_000, "é", "日本",
        "a\nb",
        "a{y}", "a\tb", "$(id)", "'", '"', "a\x00b", "con:", "a" + "\U0001f600",
    ])  # fmt: skip
    section = drawn.choice(["encoders", "intermediates", "mixes", "targets"])
    entry = {"encoders": BASE["encoders"]["tiny"], "intermediates": {"tasks": ["nli"]}}
    entry |= {"mixes": {"weights": {"en": 1}}, "targets": {"task": "pos"}}
    base = put(deepcopy(BASE), (section, name), entry[section])
    base["grid"][section] = [*base["grid"][section], name]
    return Case("name", dump(base, drawn if name.isascii() and name.isprintable() else None), True)


@mutation(4)
def bad_reference(drawn: random.Random) -> Case:
    base = deepcopy(BASE)
    word = drawn.choice(["nlii", "zz", "x" * 5000, "@rrare", "", "no such", "[en]", "qqq" * 30])
    changes: list[tuple[tuple[str, ...], Any]] = [
        (("grid", drawn.choice(["encoders", "intermediates", "mixes", "targets"])), [word]),
        (("grid", drawn.choice(["encoders", "targets", "seeds"])), []),
        (("grid", "seeds"), drawn.choice([[1, 1], [0] * 5000, list(range(2000)), [-1], [2**31], ["x"], [0.5]])),
        (("languages", drawn.choice(["evaluation", "rare", "selection"])), ["en", word]),
        (("languages", "evaluation"), ["en", "en"]),
        (("mixes", "half", "weights"), drawn.choice([{word: 1}, {}, {"en": 0}, {"en": 1, "fri": -1}, {"en": 1,
        "fri": 1e-12},
                                                     {"en": 1e7}, {"en": None}, {"en": [1]}, {"en": 1, "@rare": "x"}])),
        (("mixes", "half", "leave_out"), [word]),
        (("mixes", "half", "leave_out"), ["@all"]),
        (("intermediates", "both", "tasks"), drawn.choice([[word], [], ["nli", "nli"], ["retrieval"], ["text", word]])),
        (("intermediates", "both", "mixes"), drawn.choice([[word], [], ["en", "en"]])),
        (("targets", "p", "task"), drawn.choice([word, "text"])),
        (("targets", "p", "train"), drawn.choice([[word], [], ["nli"], ["pos", "pos"]])),
        (("targets", "p", "protocol"), word or "zz"),
        (("training", "protocol"), word or "zz"),
        (("training", "tasks", word), {"target": {}}),
        (("data", "rows", "tasks", word), {"train": 1}),
        (("data", "sources"), {"nli": "files"}),
        (("encoders", "tiny", "languages"), drawn.choice([["en", word], [], ["en", "en"]])),
        (("encoders", "tiny", "model", "heads"), 3),
        (("encoders", "tiny", "model", "max_length"), 32),
        (("training", drawn.choice(["target", "intermediate"]), "max_length"), 9999),
        (("encoders", "tiny", "model"), {"hidden_size": 65_536, "layers": 1000, "heads": 2}),
        (("intermediates", "both", "mlm"), {"share": 0.5, "task": word}),
        (("intermediates", "both", "mlm"), {"share": 0.5, "languages": [word]}),
        (("intermediates", "both"), {"tasks": ["nli"], "as_text": True, "shuffle_labels": True}),
        (("targets", "r"), {"task": "retrieval", "shuffle_labels": True}),
        (("data", "source"), drawn.choice(["files", "hub"])),
        (("encoders", "tiny"), drawn.choice([{"from": place} for place in
            ("~nouser/x", "/absent", "./absent", "a/b/c", "x" * 5000, "x" * 300, "package:", "package:no_such/x",
            "a\0b", "xlm", "")])),
        (("encoders", "tiny"), {"from": "a/b", "revision": drawn.choice([5, [], {}])}),
    ]  # fmt: skip
    path, value = drawn.choice(changes)
    put(base, path, value)
    base["grid"]["targets"] += ["r"] if "r" in base["targets"] else []
    return Case("reference", dump(base), True)


@mutation(2)
def bad_root(drawn: random.Random) -> Case:
    places = ["~nouser", "~nouser/x", "/absent", "absent", "x" * 300, "x/" * 3000, "a\0b", "overlay.yaml", "\ud800"]
    base = {"data": {"source": "files", "root": drawn.choice(places)}}
    return Case("root", json.dumps(base).encode(), True)


SYNTAX = (
    b"grid: [unclosed", b"grid: {a: 1", b"grid:\n\tseeds: [1]", b"grid:\n  seeds: [1]\n mixes: [en]", b"a: b: c",
    b"grid: *x",
    b"- a\n- b", b"5", b"text", b"", b"# nothing\n", b"---\n", b"a: 1\n---\nb: 2\n", b"threads: !!int foo",
    b"track_versions: !!bool maybe", b"threads: !!python/object/apply:os.system ['true']", b"threads: !x 1",
    b"%YAML 9.9\n---\na: 1",
    b"grid: {seeds: [2024-13-45]}", b"grid: {seeds: [2024-01-05]}", b"grid: {seeds: [010]}", b"threads: 1:30",
    b"threads: !!float x",
    b"grid: &a {seeds: *a}", b"grid: &a [*a]", b"a: &a [x,x]\nb: &b [*a,*a]\ngrid: &a [*b,*a]",
    b"languages: {evaluation: [en, no]}",
    b"mixes: {m: {weights: {en: 1, no: 1}}}", b"mixes: {on: {weights: {en: 1}}}", b"mixes: 5", b"mixes: [a]", b"1: 2",
    b"null: 1",
    b"? [a]\n: 1", b"? {a: 1}\n: 1", b"threads: !!binary x", b"threads: !!timestamp x", b"grid: !!set {a}",
    b"threads: !!null x",
    b"\xe9: 1", b"data: {root: \xe9}", b"\xff\xfeg\x00", b"\xfe\xff\x00g", b"\x00", b"data: {root: 'a\x00b'}",
    b"\x89PNG\r\n\x1a\n",
    b'data: {root: "a\\0b"}', b'data: {root: "\\ud800"}', b'{"threads": 1, "threads": 2}',
    b'{"grid": {"seeds": [1], "seeds": [2]}}',
    b"__use_yte__: true\nthreads: 1", b"threads: '", b'threads: "\\q"', b"threads: |\n x\n  y\n z: 1", b"threads: @x",
    b"{", b"[" * 100,
    b"<<: 5", b"<<: [1]", b"threads: 1\nthreads: 1", b"grid: {seeds: [1], seeds: [2]}", b"'grid': {}\n\"grid\": {}",
    b"\xc3", b"a:\xa0 1",
)  # fmt: skip
"""Files that are no configurations, each by itself."""


@mutation(6)
def bad_syntax(drawn: random.Random) -> Case:
    return Case("syntax", drawn.choice(SYNTAX), True)


@mutation(1)
def giant(drawn: random.Random) -> Case:
    size = drawn.choice([10**4, 10**5, 3 * 10**5])
    makers: list[Callable[[], bytes]] = [
        *(lambda: b"threads: " + b"[" * size, lambda: b"threads: " + b"{a: " * size, lambda: b"- " * size + b"a"),
        lambda: b"threads: " + b"9" * size,
        lambda: b"grid: {targets: [" + b"x" * size + b"]}",
        lambda: b"grid: {seeds: [" + b"7," * size + b"]}",
        lambda: b"\n".join(b"k%d: 1" % number for number in range(size)),
        lambda: _doubling(b"[%s]", [b"*a%d"] * 9, 10),
        lambda: _doubling(b"{%s}", [b"x: *a%d", b"y: *a%d"], 25),
        lambda: (
            b"grid: {mixes: [m]}\nmixes: {m: {weights: {%s}}}" % b",".join(b"l%d: 1" % n for n in range(size // 10))
        ),
        *(lambda: b"# " + b"x" * 5 * 10**6, lambda: b"x" * 5 * 10**6, lambda: drawn.randbytes(10**4)),
    ]
    return Case("giant", drawn.choice(makers)(), True)


def _doubling(brackets: bytes, parts: list[bytes], levels: int) -> bytes:
    """Anchors, each of which holds the one before several times."""
    lines = [b"a0: &a0 " + brackets % b""]
    for level in range(1, levels):
        inner = b", ".join(part % (level - 1) for part in parts)
        lines.append(b"a%d: &a%d " % (level, level) + brackets % inner)
    return b"\n".join(lines)


@mutation(4)
def doubled_key(drawn: random.Random) -> Case:
    lines = yaml.safe_dump(BASE, sort_keys=False).splitlines()
    keys = [number for number, line in enumerate(lines) if line.rstrip().endswith(":") or ": " in line]
    number = drawn.choice(keys)
    indent = len(lines[number]) - len(lines[number].lstrip())
    end = next((n for n in range(number + 1, len(lines)) if len(lines[n]) - len(lines[n].lstrip(" -")) <= indent
                and not lines[n].lstrip().startswith("-")), len(lines))  # fmt: skip
    block = lines[number:end]
    return Case("doubled key", "\n".join([*lines[:end], *block, *lines[end:]]).encode() + b"\n", True)


@mutation(3)
def damaged_text(drawn: random.Random) -> Case:
    """Bytes cut, doubled, swapped or flipped: anything may come, but no traceback."""
    data = bytearray(dump(BASE, drawn))
    for _ in range(drawn.randint(1, 3)):
        at = drawn.randrange(len(data))
        match drawn.randrange(4):
            case 0:
                data = data[:at]
            case 1:
                data[at:at] = data[at : at + drawn.randrange(40)]
            case 2:
                data[at] = drawn.randrange(256)
            case 3:
                del data[at : at + drawn.randrange(10)]
        data = data or bytearray(b"x")
    return Case("damaged", bytes(data), None)


@mutation(3)
def shuffled_tree(drawn: random.Random) -> Case:
    """A subtree in the place of another: anything may come, but no traceback."""
    base = deepcopy(BASE)
    places = [*_places(base)]
    source, place = drawn.choice(places), drawn.choice(places)
    value = deepcopy(_at(base, source))
    parent = _at(base, place[:-1])
    parent[place[-1]] = value
    return Case("shuffled", dump(base), None)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from _places(value, (*path, key))


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@mutation(4)
def own_task(drawn: random.Random) -> Case:
    """Task files of one's own, that the experiment does not use or does."""
    task, used = deepcopy(TASK), drawn.random() < 0.5
    block = ("sources", "files", "each")
    bad: list[Callable[[], Any]] = [
        lambda: task.pop(drawn.choice(["description", "format", "licence", "sources", "labels"])),
        lambda: put(task, (drawn.choice(["lables", "name", "x" * 300, ""]),), "x"),
        lambda: put(task, ("metrics",), drawn.choice([["acuracy"], [1], "accuracy", [True], {"accuracy": 1},
        ["span_f1"]])),
        lambda: put(task, ("labels",), drawn.choice([[True, False], [0, 1], ["a"], ["a", "a"], 5, "data", {"a": 1},
        [None, "a"]])),
        lambda: put(task, ("format",), drawn.choice(["sorting", 5, None, ["span"]])),
        lambda: put(task, ("licence",), drawn.choice([None, "", 5, "x"])),
        lambda: put(task, ("fields",), drawn.choice([{"txt": "x"}, [1], 5, {"text": 5}])),
        lambda: put(task, ("protocol",), drawn.choice([5, {"settings": {"m": {"epoch": 3}}},
        {"settings": {"m": {"epochs": 1e18}}},
            {"train": ["mnly"]}, {"train": ["squad_v1"]}, {"settings": 5}, {"settings": {"m": 5}}, {"setings": {}}])),
        lambda: put(task, ("sources", "world", "generator"), drawn.choice(["nly", 5, None])),
        lambda: put(task, ("sources", "world", "map"), drawn.choice([{"entailment": "god"}, {"a": True}, [1]])),
        lambda: put(task, block, drawn.choice([5, [5], [{}], {}, ["a"], [{"languages": 5, "splits": {}, "part": {}}]])),
        lambda: task["sources"]["files"]["each"][0].update(drawn.choice([
            {"languages": [False]}, {"languages": {"no": False}}, {"languages": {False: "no"}},
            {"splits": {"tset": "x"}}, {"splits": 5},
            {"part": 5}, {"part": {"reader": "jsonl", "path": 5}}, {"part": {"reader": "jsonl", "path": "{cod}.x"}},
            {"rows": {"dev": 5}},
            {"rows": {"test": -1}}, {"rows": {"test": "x"}}, {"rows": {"test": {"yo": 5}}}, {"langs": {}},
            {"splits": {"test": None}}])),
        lambda: put(task, ("sources", "files", "data"), drawn.choice([5, {"en": 5}, {"en": {"train": 5}},
        {"en": {"test": []}}, [1]])),
        lambda: put(task, ("sources", "fils"), {}),
    ]  # fmt: skip
    fine: list[Callable[[], Any]] = [
        lambda: None,
        lambda: put(task, ("labels",), ["yes", "no"]) and put(task, ("sources", "world"), None),
        lambda: task["sources"]["files"]["each"][0]["languages"].update({"nup": "nup_Latn"}),
        lambda: put(task, ("citation",), "Ọ̀rọ̀ " * 100),
    ]
    refused = drawn.random() < 0.75
    drawn.choice(bad if refused else fine)()
    base = deepcopy(BASE)
    if used and task.get("sources") and (task["sources"].get("world") or refused):
        base["grid"]["targets"] = ["own"]
    return Case("task", dump(base), refused, yaml.safe_dump(task, allow_unicode=True).encode())


@mutation(2)
def own_task_syntax(drawn: random.Random) -> Case:
    usable = [text for text in SYNTAX if b"threads" not in text or b"!" in text]
    return Case("task syntax", dump(BASE), True, drawn.choice(usable))


@mutation(4)
def argument(drawn: random.Random) -> Case:
    """`--config`, in which Snakemake makes text of everything within a value."""
    good = ["threads=2", "grid={seeds: [0, 1]}",
    "training={target: {epochs: 2, freeze_embeddings: true, micro_tokens: null}}",
            "data={rows: {test: null}}", "track_versions=true", "keep={target: final}",
            "world={seed: 7, names_shared: false}",
            "training={target: {learning_rate: 1e-5, dropout: 0.1}}", "languages={selection: []}", "data={root: null}",
            "encoders={tiny: {model: {layers: 2}, languages: all}}", "mixes={half: {weights: {en: 1, fri: 2}}}",
            "targets={qa: null}"]  # fmt: skip
    bad = ["threads=0", "threads=two", "threads=1.5", "grid={seeds: [0.5]}", "grid={seeds: [x]}", "grid=5", "mixes=5",
    "mixes=[a]",
           "training={target: {epochs: many}}", "training={target: {epochs: 1e18}}", "track_versions=maybe",
           "gird={}", "grid=",
           "grid={seeds: []}", "threads=" + "9" * 5000, "data={rows: {test: none}}", "mixes={half: null}",
           "targets={p: null}",
           "training={target: {freeze_embeddings: 1}}", "grid={targets: [nlii]}", "threads=1e18",
           "threads=" + "x" * 10**5]  # fmt: skip
    refused = drawn.random() < 0.5
    return Case("--config", dump(BASE), refused, arguments=(drawn.choice(bad if refused else good),))


def draw(drawn: random.Random) -> Case:
    """A case of any kind."""
    functions, weights = zip(*MUTATIONS, strict=True)
    return drawn.choices(functions, weights)[0](drawn)


# -- running -------------------------------------------------------------------------------------------------------


def write(case: Case, folder: Path) -> None:
    """The files of a case."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "config/tasks").mkdir(parents=True)
    (folder / "overlay.yaml").write_bytes(case.overlay)
    if case.task is not None:
        (folder / "config/tasks/own.yaml").write_bytes(case.task)


def check(case: Case, folder: Path) -> tuple[str, str]:
    """(how it ends, output) of `config check`, in a child process."""
    output = folder / "output"
    began = time.monotonic()
    if (child := os.fork()) == 0:
        _child(case, folder, output)
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() - began > 5 * SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    text = output.read_text(errors="replace")
    status = os.waitstatus_to_exitcode(ended[1])
    if status < 0:
        return ("hang" if -status in (signal.SIGKILL, signal.SIGXCPU) else "traceback"), text or f"signal {-status}"
    return _ending(status, text), text


def _child(case: Case, folder: Path, output: Path) -> typing.NoReturn:
    """Run the command line as a program of its own would."""
    handle = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    status = 1
    try:
        if case.arguments:
            load(folder / "overlay.yaml", parse_config(list(case.arguments)))
            status = 0
        else:
            status = command_line(["config", "check", "overlay.yaml"])
    except UserError as error:
        print(f"error: {error}", flush=True)
        status = 2
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _ending(status: int, text: str) -> str:
    if "Traceback (most recent call last)" in text or status not in (0, 2):
        return "traceback"
    lines = text.splitlines()
    if len(lines) > LINES or max(map(len, lines), default=0) > LONGEST:
        return "long_message"
    return "accepted" if status == 0 else "refused"


def dry_run(case: Case, folder: Path) -> tuple[str, str]:
    """(how it ends, output) of `snakemake -n`."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "-s", str(ROOT / "Snakefile")]
    command += ["--configfile", "overlay.yaml", *(["--config", *case.arguments] if case.arguments else [])]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=20 * SECONDS
        )
    except subprocess.TimeoutExpired as error:
        return "hang", str(error)
    text = done.stdout + done.stderr
    if done.returncode == 0:
        return "accepted", text
    if "error: " in text and "Traceback" not in text:
        return "refused", text
    return ("traceback" if "intermezzo/" in text.replace(str(ROOT), "") else "snakemake"), text


def verdict(case: Case, ending: str) -> str:
    """What an ending is, where it is known how it should be."""
    if ending == "accepted" and case.refused:
        return "accepted_wrong"
    if ending == "refused" and case.refused is False:
        return "refused_wrong"
    return "clean" if ending in ("accepted", "refused") else ending


def run(cases: int, seed: int, dry_runs: int) -> dict[str, Any]:
    """Counts, and the cases that ended as they should not. dry_runs: of how many cases one goes through Snakemake."""
    for task in tasks.task_names():  # the catalogue, once and not in every child
        tasks.load_task(task)
    tasks.task_names.cache_clear()
    tasks._files.cache_clear()
    gc.freeze()
    drawn, counts, offending = random.Random(seed), Counter[str](), []
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-config-") as name:
        for number in range(cases):
            case, folder = draw(drawn), Path(name) / "case"
            write(case, folder)
            ending, text = check(case, folder)
            results = [(verdict(case, ending), text)]
            if dry_runs and number % dry_runs == 0 and "\0" not in "".join(case.arguments):
                other, said = dry_run(case, folder)
                counts["dry_runs"] += 1
                alike = other in (ending, "snakemake") or (ending == "long_message" and other == "refused")
                results.append((verdict(case, other) if alike else "disagree", said))
            for result, said in results:
                counts[result] += 1
                if result in FAULTS:
                    shown = {
                        "number": number,
                        "kind": case.kind,
                        "result": result,
                        "overlay": repr(case.overlay[:2000]),
                    }
                    shown |= {"task": repr(case.task), "arguments": case.arguments, "output": said[-3000:]}
                    offending.append(shown)
            kinds[case.kind] += 1
    summary = {"tried": cases, "clean": counts["clean"], **{fault: counts[fault] for fault in FAULTS}}
    return summary | {
        "dry_runs": counts["dry_runs"],
        "snakemake": counts["snakemake"],
        "kinds": kinds,
        "cases": offending,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--dry-runs", type=int, default=25, metavar="N", help="every Nth case also through snakemake -n (0: none)"
    )
    parser.add_argument("--json", type=Path, help="file to write the result to")
    options = parser.parse_args()
    result = run(options.cases, options.seed, options.dry_runs)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=True) + "\n")
    print(", ".join(f"{key} {value}" for key, value in result.items() if isinstance(value, int)))
    for case in result["cases"][:20]:
        print(f"\n{case['number']} {case['kind']}: {case['result']}\n{case['output'][-500:]}")
    return int(bool(result["cases"]))


if __name__ == "__main__":
    raise SystemExit(main())
