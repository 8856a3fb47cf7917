"""What attention of one layer costs in training: ours in blocks against PyTorch's, once per run of equal lengths.

    python benchmarks/attention.py

Forward + backward pass in CPU milliseconds, medians of calls that take turns, on one thread.
"""

from __future__ import annotations

import random
import statistics
import time
from itertools import groupby

import torch

from intermezzo.modeling import packing
from intermezzo.training.hardware import use_threads

DRAWN = random.Random(0)
PAIRS = [min(128, max(8, int(DRAWN.lognormvariate(3.62, 0.45)))) for _ in range(32)]
CASES = {
    "8 windows of 210 to 384 tokens": ([210, 260, 301, 320, 341, 355, 372, 384], 12, 32),
    "32 pairs of 8 to 128 tokens": (PAIRS, 12, 32),
    "32 sentences of 6 to 21 tokens": ([DRAWN.randrange(6, 22) for _ in range(32)], 4, 16),
    "32 inputs of 64 tokens": ([64] * 32, 4, 16),
    "8 inputs of 512 tokens": ([512] * 8, 12, 64),
}
"""Name -> (lengths, heads, head size)."""
SECONDS = 8


def main() -> None:
    use_threads(1)
    ours = packing.use_kernels
    for dropout in (0.1, 0.0):
        for name, (lengths, heads, size) in CASES.items():
            runs = tuple((len(list(group)), length) for length, group in groupby(sorted(lengths)))
            states = [torch.randn(sum(lengths), heads, size).transpose(0, 1) for _ in range(3)]
            times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
            began = time.monotonic()
            while time.monotonic() - began < SECONDS or len(times[True]) < 5:
                for mine in (False, True):
                    packing.use_kernels = ours if mine else lambda _: False
                    times[mine].append(passes(states, runs, dropout))
            theirs, mine = (
                " + ".join(f"{1e3 * statistics.median(values):.1f}" for values in zip(*times[which], strict=True))
                for which in (False, True)
            )
            print(f"{name}, {heads} heads of {size}, dropout {dropout}: PyTorch {theirs}, ours {mine}", flush=True)


def passes(states: list[torch.Tensor], runs: tuple[tuple[int, int], ...], dropout: float) -> tuple[float, float]:
    """Seconds of the forward and of the backward pass."""
    query, key, value = (part.detach()[None].requires_grad_() for part in states)
    began = time.process_time()
    out, _ = packing.packed_attention(None, query, key, value, None, dropout, query.shape[-1] ** -0.5, runs)
    between = time.process_time()
    out.backward(torch.ones_like(out))
    return between - began, time.process_time() - between


if __name__ == "__main__":
    main()
