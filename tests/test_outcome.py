"""The end of a run says why jobs failed, or where the answer is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from checkout import Checkout
from intermezzo.execution import startup
from intermezzo.execution.outcome import FailedJob, failures, message_in

OURS = "[encoders/x] tokens: 4 s\n[encoders/x] error: encoders.x: no tokenizer; name one\n"
TRACEBACK = """[a/b] step 3
Traceback (most recent call last):
  File "x.py", line 1, in f
    g()
ValueError: 3 rows

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "x.py", line 2, in h
    raise KeyError
KeyError: 'y'
Some other words
"""


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (OURS, "encoders.x: no tokenizer; name one"),
        ("error: the file has 2 problems:\n- a\n- b\n", "the file has 2 problems:\n- a\n- b"),
        ("[a] error: first try\n[a] going on\n[a] error: second\n", "second"),
        (TRACEBACK, "KeyError: 'y'"),
        (TRACEBACK + OURS, "encoders.x: no tokenizer; name one"),
        ("slurmstepd: error: exceeded memory\nKilled\n\n", "Killed"),
        ("error: " + "x" * 10_000 + "\n", "x" * 396 + " ..."),
        ("error: a\n" + "b\n" * 50, "a\nb\nb\nb\nb\nb\n..."),
        ("", ""),
    ],
)
def test_the_reason_is_found_at_the_end_of_a_log(log, message):
    assert message_in(log) == message


def test_each_message_is_there_once_with_its_log_and_none_is_of_an_earlier_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "a": "error: full\n",
        "b": "error: full\n",
        "c": "error: bad\n",
        "old": "error: older\n",
    }.items():
        (tmp_path / name).write_text(text)
        os.utime(name, (100, 100) if name == "old" else (1000, 1000))
    jobs = [FailedJob(f"Train {name}", (name,)) for name in ("c", "b", "a", "old", "none")]
    assert failures([*jobs, FailedJob("Plan", ())], since=1000) == (
        "error: 6 jobs have failed:\n"
        "  Plan (no log, and 2 more with the same message):\n    it has left no message\n"
        "  Train a (a, and 1 more with the same message):\n    full\n"
        "  Train c (c):\n    bad"
    )
    assert failures([], since=0) == ""


@pytest.mark.workflow
def test_a_run_of_which_jobs_fail_ends_with_the_message_of_each(tmp_path):
    checkout = Checkout.fresh(tmp_path / "checkout")
    before = (checkout.folder / "src/intermezzo/cli/stages.py").read_text()
    checkout.edit(
        "cli/stages.py",
        "    spec = options.spec\n    task = load_task(spec.task)\n    training =",
        "    spec = options.spec\n    if spec.language in ('fri', 'mor'):\n"
        "        raise UserError(f'{spec.language}: broken;\\nmend it')\n"
        "    task = load_task(spec.task)\n    training =",
    )
    done = checkout.snakemake("prepare")
    assert done.returncode == 1 and "results/data" in done.stderr
    end = done.stderr.split("Exiting because a job execution failed")[1]
    assert int(re.search(r"error: (\d+) jobs have failed:", end)[1]) > 2
    for code in ("fri", "mor"):
        assert re.search(rf"  Prepare .*{code}.* \(logs/.*{code}.*, and \d+ more with the same message\):\n", end)
        assert end.count(f"    {code}: broken;\n    mend it\n") == 1
    assert "answer" not in end
    (checkout.folder / "src/intermezzo/cli/stages.py").write_text(before)
    assert "results/answer.md" not in checkout.run("prepare"), "a run that does not make it"


def test_the_end_of_a_run_says_where_what_it_made_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    Path("results/answer.md").write_text("# The answer\n\n- **Higher**: so it is.\n\nMore.\n")
    for files, said in (
        ([], ""),
        (["results/report.html"], "The report is in results/report.html; open it in a browser\n"),
        (["results/answer.md"], "\n- Higher: so it is.\nThe answer of this experiment is in results/answer.md\n"),
    ):
        monkeypatch.setitem(startup._run, "files", files)
        startup.show_answer()
        assert capsys.readouterr().err == said
