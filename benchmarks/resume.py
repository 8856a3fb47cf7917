"""Kill trainings at random times in every phase and resume them: the weights must be those of undisturbed runs.

    python benchmarks/resume.py --kills 20

Each run is a fork that SIGKILL ends; a state is written after every step, so that kills also hit its writing.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from intermezzo.training import states
from intermezzo.training.finetune import finetune
from intermezzo.training.pretrain import pretrain
from toy_training import PRETRAIN, inputs, spec, toy_data, toy_encoder

SEVERAL = ("colour", "tags", "where", "text")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    states.SAVE_SECONDS, states.SAVE_SHARE = 0.0, float("inf")
    drawn, done = random.Random(options.seed), {"pretrain": 0, "intermediate": 0, "target": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = phases(folder)
        took = {}
        for phase, job in jobs.items():
            began = time.monotonic()
            job(folder / phase)
            took[phase] = time.monotonic() - began
        while sum(done.values()) < options.kills:
            phase = drawn.choice(sorted(jobs))
            out = folder / f"{phase}-killed"
            kills = 0
            while kills < 3 and sum(done.values()) < options.kills:
                if not killed(lambda job=jobs[phase], out=out: job(out), drawn.uniform(0, 0.9) * took[phase]):
                    done[phase] += 1
                    kills += 1
            jobs[phase](out)
            for file in ("model.safetensors", "manifest.json"):
                if (out / file).read_bytes() != (folder / phase / file).read_bytes():
                    raise SystemExit(f"{phase}: {file} differs after {kills} kills")
            for file in out.iterdir():
                file.unlink()
    print(f"{options.kills} kills ({', '.join(f'{phase} {n}' for phase, n in done.items())}): all weights identical")


def phases(folder: Path) -> dict[str, Callable[[Path], None]]:
    """The three phases on toy data, each as a function of its output folder."""
    data = toy_data(folder / "data")
    (folder / "data").mkdir()
    text = {language: data("text", language) for language in PRETRAIN["languages"]}
    encoder, state = toy_encoder(data, folder / "encoder"), folder / "state"
    several = spec(*SEVERAL) | {"phase": "intermediate"}
    return {
        "pretrain": lambda out: pretrain(PRETRAIN, text, {}, out, state),
        "intermediate": lambda out: finetune(several, encoder, inputs(data, *SEVERAL), out, state),
        "target": lambda out: finetune(spec("choice"), encoder, inputs(data, "choice"), out, state),
    }


def killed(job: Callable[[], None], seconds: float) -> bool:
    """Run `job` in a fork and kill it after some time; True when it had ended before."""
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            job()
        finally:
            os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


if __name__ == "__main__":
    main()
