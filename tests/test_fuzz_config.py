"""benchmarks/fuzz_config.py: a few of its cases, and that it counts what it says."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import fuzz_config
from fuzz_config import Case


@pytest.mark.slow
def test_a_few_malformed_configurations(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["fuzz_config.py", "--cases", "40", "--dry-runs", "0", "--json", str(tmp_path / "f")]
    )
    assert fuzz_config.main() == 0
    result = json.loads((tmp_path / "f").read_text())
    assert result["tried"] == result["clean"] == 40
    assert {"traceback", "accepted_wrong", "hang"} <= result.keys()


def test_a_seed_draws_the_same_cases():
    first, again, other = (random.Random(seed) for seed in (1, 1, 2))
    cases = [fuzz_config.draw(first) for _ in range(20)]
    assert cases == [fuzz_config.draw(again) for _ in range(20)]
    assert cases != [fuzz_config.draw(other) for _ in range(20)]


@pytest.mark.parametrize(
    ("refused", "ending", "result"),
    [
        (True, "accepted", "accepted_wrong"),
        (False, "refused", "refused_wrong"),
        (None, "accepted", "clean"),
        (True, "traceback", "traceback"),
        (True, "hang", "hang"),
    ],
)
def test_endings_are_judged(refused, ending, result):
    assert fuzz_config.verdict(Case("", b"", refused), ending) == result


@pytest.mark.slow
def test_a_child_that_fails_and_one_that_does_not_end(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_config, "SECONDS", 1)

    def ending(command) -> str:
        monkeypatch.setattr(fuzz_config, "command_line", command)
        case = Case("", b"threads: 1", False)
        fuzz_config.write(case, tmp_path / "case")
        return fuzz_config.check(case, tmp_path / "case")[0]

    def endless(_):
        while True:
            pass

    assert ending(lambda _: 1 // 0) == "traceback"
    assert ending(endless) == "hang"
    assert ending(lambda _: print("x" * 5000) or 2) == "long_message"
    assert ending(lambda _: 2) == "refused"
