"""Kill trainings at random times in every phase and resume them: the weights must be those of undisturbed runs.

    python benchmarks/resume.py --kills 20

Each run is a fork that SIGKILL ends; a state is written after every step, so that kills also hit its writing.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from intermezzo.training import states
from toy_training import killed, phases, toy_data, toy_encoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    states.SAVE_SECONDS, states.SAVE_SHARE = 0.0, float("inf")
    drawn, done = random.Random(options.seed), {"pretrain": 0, "intermediate": 0, "target": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        data = toy_data(folder / "data")
        jobs = phases(data, toy_encoder(data, folder / "encoder"), folder / "state")
        took = {}
        for phase, job in jobs.items():
            began = time.monotonic()
            job(folder / phase)
            took[phase] = time.monotonic() - began
        while sum(done.values()) < options.kills:
            phase = min(done, key=done.get)
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


if __name__ == "__main__":
    main()
