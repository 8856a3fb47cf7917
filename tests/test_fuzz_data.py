"""`benchmarks/fuzz_data.py`: a small number of its cases, and that it finds what it looks for."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import fuzz_data  # noqa: E402
from data_samples import samples  # noqa: E402

FAULTY = """
import sys
from pathlib import Path
import fuzz_data
from intermezzo.cli import stages

sample = next(sample for sample in fuzz_data.samples() if sample.name == "lines mlm")
case = fuzz_data.Case({"f": b"a\\nb\\nc\\n"}, "refused")

def fault(name):
    folder = Path(sys.argv[1], name)
    folder.mkdir()
    return fuzz_data.in_child(folder, sample, case)["fault"]

print(fault("taken for data"))
stages.prepare = lambda options: 1 / 0
print(fault("traceback"))
stages.prepare = lambda options: fuzz_data.time.sleep(60)
fuzz_data.SECONDS = 1
print(fault("hang"))
"""


@pytest.mark.slow
def test_damaged_data_is_one_message_or_the_right_rows(tmp_path):
    program = [sys.executable, str(BENCHMARKS / "fuzz_data.py")]
    done = subprocess.run([*program, "--cases", "40", "--seed", "7", "--json", str(tmp_path / "a.json")], check=False)
    result = json.loads((tmp_path / "a.json").read_text())
    assert done.returncode == 0 and result["tried"] == result["clean"] == 40, result["cases"]


def test_every_mutation_has_a_sample_and_every_case_comes_again():
    for mutation in fuzz_data.MUTATIONS:
        assert any(mutation(sample, random.Random(0)) for sample in samples()), mutation.__name__
    for number in range(10):
        assert fuzz_data.drawn(random.Random(number)) == fuzz_data.drawn(random.Random(number))


@pytest.mark.slow
def test_what_is_wrong_is_counted(tmp_path):
    paths = os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent / "src")])
    command = [sys.executable, "-c", FAULTY, str(tmp_path)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["accepted_wrong", "traceback", "hang"]
