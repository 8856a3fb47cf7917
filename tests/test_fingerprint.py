"""Code fingerprints: they follow imports, and change with what the code does and with nothing else."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

from intermezzo.dag import fingerprint as module
from intermezzo.dag import syntax
from intermezzo.dag.fingerprint import PACKAGE, closure, fingerprint

FILES = {
    "__init__.py": '__version__ = "1"\n',
    "stage.py": '"""Doc."""\nfrom pkg.helper import double\n\n\ndef run(x):\n    """Run."""\n    return double(x)\n',
    "helper.py": "import os\nfrom . import deep\n\n\ndef double(x):\n    return deep.twice(x)\n",
    "deep/__init__.py": "from pkg.deep.inner import twice\n",
    "deep/inner.py": "def twice(x):\n    return 2 * x\n",
    "lazy.py": "def run():\n    from pkg.deep import inner\n    return inner\n",
    "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg import helper\n",
    "other.py": "x = 1\n",
}


HEADS = "intermezzo.modeling.heads"


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "pkg"


def stamp(package, root="pkg.stage", resources=()):
    for cached in (fingerprint, module._imports, syntax.read):
        cached.cache_clear()
    return fingerprint((root,), tuple(resources), package)


def edit(package, name, old, new):
    path = package / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_closure_follows_imports_of_the_package(package):
    assert closure(["pkg.stage"], package) == {"pkg", "pkg.stage", "pkg.helper", "pkg.deep", "pkg.deep.inner"}
    assert closure(["pkg.lazy"], package) == {"pkg", "pkg.lazy", "pkg.deep", "pkg.deep.inner"}
    assert closure(["pkg.typed"], package) == {"pkg", "pkg.typed"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("stage.py", "Doc.", "Documentation."),
        ("stage.py", "Run.", "Runs it.\n\n    At length."),
        ("helper.py", "return deep", "# why\n    return  deep"),
        ("__init__.py", '"1"', '"2"'),
        ("other.py", "1", "2"),
        ("typed.py", "helper", "stage"),
    ],
)
def test_words_layout_and_unrelated_code_change_nothing(package, name, old, new):
    before = stamp(package)
    edit(package, name, old, new)
    assert stamp(package) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("stage.py", "double(x)", "double(-x)"),
        ("helper.py", "twice(x)", "twice(x + 1)"),
        ("deep/inner.py", "2 * x", "3 * x"),
        ("deep/__init__.py", "import twice", "import twice as twice\ny = 1"),
    ],
)
def test_a_change_of_code_anywhere_in_the_closure_counts(package, name, old, new):
    before = stamp(package)
    edit(package, name, old, new)
    assert stamp(package) != before


def test_an_added_root_counts_even_before_its_module_exists(package):
    assert len({stamp(package), fingerprint(("pkg.stage", "pkg.absent"), (), package)}) == 2


def test_resources_count_as_data(package, tmp_path):
    data = tmp_path / "data.yaml"
    data.write_text("a: 1  # one\n")
    before = stamp(package, resources=[data])
    data.write_text("# another comment\na: 1\n")
    assert stamp(package, resources=[data]) == before
    data.write_text("a: 2\n")
    assert stamp(package, resources=[data]) != before


@pytest.mark.slow
def test_it_is_the_same_in_every_process(package):
    code = (
        "from pathlib import Path; from intermezzo.dag.fingerprint import fingerprint; "
        f"print(fingerprint(('pkg.stage',), (), Path({str(package)!r})))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": str(PACKAGE.parent), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert seen == {stamp(package) + "\n"}


@pytest.mark.parametrize(
    ("root", "absent"),
    [
        (
            "intermezzo.training.finetune",
            [f"{HEADS}.tagging", f"{HEADS}.span", "intermezzo.cli.main"],
        ),
        (
            "intermezzo.evaluation.predict",
            [f"{HEADS}.tagging", "intermezzo.evaluation.metrics.tagging"],
        ),
        ("intermezzo.evaluation.evaluate", ["intermezzo.evaluation.metrics.tagging", "intermezzo.cli.stages"]),
        ("intermezzo.sources", ["intermezzo.sources.files", "intermezzo.world"]),
        ("intermezzo.analysis.run", ["intermezzo.training.loop", "intermezzo.modeling.encoder"]),
        (
            "intermezzo.training.pretrain",
            [f"{HEADS}.classification", "intermezzo.evaluation.evaluate"],
        ),
    ],
)
def test_stages_do_not_reach_the_formats_that_they_import_by_name(root, absent):
    reached = closure([root])
    assert not reached & set(absent)
    assert {"intermezzo.dag.experiment", "intermezzo.config.models"}.isdisjoint(reached), (
        "a configuration key would rerun all"
    )


def test_the_syntax_tree_counts_as_every_version_of_python_reads_it():
    """Versions add fields that are empty (`type_params` in 3.12); what is written does not change."""
    plain = ast.parse("class A:\n    def f(self, x=1, **y): return {**y, 'a': x}")
    later = ast.parse(
        "class A:\n    '''Doc.'''\n    def f(self, x=1, **y):\n        'Doc.'\n        return {**y, 'a': x}"
    )
    for node in ast.walk(later):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            node._fields = tuple(dict.fromkeys((*node._fields, "type_params")))
            node.type_params = []
    assert syntax._canonical(plain) == syntax._canonical(later)
    code = ast.parse("def f(a, *, b=None) -> int:\n    return f'{a!r:>{b}} x'")
    argument = ("arguments", ("args", (("arg", ("arg", "'a'")),)), ("kwonlyargs", (("arg", ("arg", "'b'")),)))
    width = ("JoinedStr", ("values", (
        ("Constant", ("value", "'>'")),
        ("FormattedValue", ("value", ("Name", ("id", "'b'"))), ("conversion", "-1")),
    )))  # fmt: skip
    text = ("JoinedStr", ("values", (
        ("FormattedValue", ("value", ("Name", ("id", "'a'"))), ("conversion", "114"), ("format_spec", width)),
        ("Constant", ("value", "' x'")),
    )))  # fmt: skip
    assert syntax._canonical(code) == ("Module", ("body", ((
        "FunctionDef", ("name", "'f'"), ("args", (*argument, ("kw_defaults", (("Constant",),)))),
        ("body", (("Return", ("value", text)),)), ("returns", ("Name", ("id", "'int'"))),
    ),)))  # fmt: skip


def test_what_modules_say_is_remembered_by_their_content(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def fresh():
        syntax._known.cache_clear()
        syntax._new.clear()
        syntax._used.clear()
        return stamp(package)

    before = fresh()
    assert not (tmp_path / "results").exists()  # a plan of nothing leaves nothing
    (tmp_path / "results").mkdir()
    assert fresh() == before
    remembered, *more = (tmp_path / "results/.cache/code").iterdir()
    assert not more
    with monkeypatch.context() as patch:
        patch.setattr(syntax.ast, "parse", None)
        assert fresh() == before
    edit(package, "deep/inner.py", "2 * x", "3 * x")
    changed = fresh()
    assert changed != before
    edit(package, "deep/inner.py", "3 * x", "2 * x")
    remembered.write_bytes(remembered.read_bytes()[:-70])
    assert fresh() == before
    with monkeypatch.context() as patch:
        patch.setattr(syntax, "_MOST", 0)
        edit(package, "deep/inner.py", "2 * x", "4 * x")
        assert fresh() not in (before, changed)
    syntax._known.cache_clear()
    assert len(syntax._known()) == 5  # of this process alone
