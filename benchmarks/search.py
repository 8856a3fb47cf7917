"""Exact search: ours beside faiss's flat index, in one run.

    python benchmarks/search.py --candidates 1000000 --queries 15000 --threads 2 --json search.json

Each search runs in a process of its own, which gives its peak memory: ours, faiss, faiss, ours, ours, ... so that what
else the machine does falls on both; CPU seconds beside the wall time say whether it did much. Both make the same unit
vectors from one seed, and only the search is timed. Their scores must agree at every rank within float32's rounding;
candidates that are closer than that may stand in another order in faiss (at most one place in 1000; counted).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PART = 65536
"""Vectors that are made at a time."""


def main() -> int:
    options = _options()
    if options.only:
        _measure(options)
        return 0
    runs: dict[str, list[dict]] = {"ours": [], "faiss": []}
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(options.repeats):
            for name in ("ours", "faiss") if pair % 2 == 0 else ("faiss", "ours"):
                runs[name].append(_run(name, options, Path(folder)))
                run = runs[name][-1]
                print(f"{name:5} {run['seconds']:8.2f} s, CPU {run['cpu_seconds']:8.2f} s, {run['peak_gib']:.2f} GiB")
        compared = _compare(Path(folder))
    report = {key: getattr(options, key) for key in ("candidates", "queries", "dim", "k", "threads", "seed")}
    for name, measured in runs.items():
        report[f"{name}_seconds"] = [run["seconds"] for run in measured]
        report[f"{name}_cpu_seconds"] = [run["cpu_seconds"] for run in measured]
        report[f"{name}_peak_gib"] = max(run["peak_gib"] for run in measured)
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(runs["ours"], runs["faiss"], strict=True)]
    report |= {"ratios": ratios, "ratio": statistics.median(ratios)} | compared | runs["faiss"][0]["made_with"]
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if compared["equal"] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs; the ratio is the median over them")
    parser.add_argument("--json", type=Path, help="write the report to this file")
    parser.add_argument("--only", choices=("ours", "faiss"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(name: str, options: argparse.Namespace, folder: Path) -> dict:
    """One search in a process of its own; its results go to {folder}/{name}.npz."""
    out = folder / f"{name}.npz"
    command = [sys.executable, __file__, "--only", name, "--out", str(out)]
    for key in ("candidates", "queries", "dim", "k", "threads", "seed"):
        command += [f"--{key}", str(getattr(options, key))]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(options.threads))
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"the search by {name} ended with {done.returncode}; see above")
    return json.loads(done.stdout)


def _measure(options: argparse.Namespace) -> None:
    import numpy as np

    result = _Vectors(options.seed, options.dim)
    queries = np.concatenate(list(result(options.queries, 1)))
    if options.only == "ours":
        import torch

        from intermezzo.modeling.search import search

        torch.set_num_threads(options.threads)
        candidates = np.empty((options.candidates, options.dim), np.float32)
        start = 0
        for part in result(options.candidates, 0):
            candidates[start : start + len(part)] = part
            start += len(part)
        began, cpu = time.perf_counter(), time.process_time()
        scores, indices = search(queries, candidates, options.k)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        scores, indices, made_with = scores.numpy(), indices.numpy(), {}
    else:
        import faiss

        faiss.omp_set_num_threads(options.threads)
        index = faiss.IndexFlatIP(options.dim)
        for part in result(options.candidates, 0):
            index.add(part)
        began, cpu = time.perf_counter(), time.process_time()
        scores, indices = index.search(queries, options.k)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        made_with = {"faiss": faiss.__version__, "numpy": np.__version__, "python": platform.python_version()}
    np.savez(options.out, scores=scores, indices=indices)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_gib": peak, "made_with": made_with}))


class _Vectors:
    """Random vectors of length 1, the same ones for the same seed, in parts."""

    def __init__(self, seed: int, dim: int) -> None:
        self.seed, self.dim = seed, dim

    def __call__(self, count: int, stream: int):
        import numpy as np

        random = np.random.default_rng([self.seed, stream])
        for start in range(0, count, PART):
            part = random.standard_normal((min(PART, count - start), self.dim), np.float32)
            part /= np.linalg.norm(part, axis=1, keepdims=True)
            yield part


def _compare(folder: Path) -> dict:
    """Whether both found the same, as the head of this file defines it."""
    import numpy as np

    ours, theirs = np.load(folder / "ours.npz"), np.load(folder / "faiss.npz")
    apart = np.abs(ours["scores"] - theirs["scores"]).max()
    swapped = int((ours["indices"] != theirs["indices"]).sum())
    return {
        "equal": bool(apart < 1e-6 and swapped * 1000 <= ours["indices"].size),
        "largest_difference_of_scores": float(apart),
        "places_swapped": swapped,
    }


if __name__ == "__main__":
    sys.exit(main())
