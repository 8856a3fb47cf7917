"""Products of linear layers in float32 and bfloat16 on this processor: what `precision: auto` rests on.

    python benchmarks/products.py --json products.json

For each width W and number of tokens, layers of W to W and W to 4 W: the product of the forward pass and the two of the
backward pass (gradients of the inputs and of the weights), one thread, GFLOP per CPU second. Ratios are times of
float32 over times of bfloat16: above 1 bfloat16 is faster. The line `layer` is a whole layer of the engine, forward and
backward, in both precisions, with the casts that bfloat16 needs; where the processor has no units for bfloat16 its
numbers are rounded and multiplied in float32. The precisions alternate; of each the median is taken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from intermezzo.core import processor
from intermezzo.modeling.kernels import accelerate, bfloat16_products, fixed_weights
from intermezzo.training.hardware import use_threads

WIDTHS, TOKENS = (64, 128, 256, 384, 512, 768, 1024), (320, 1280, 2048)
"""Tokens: 32 short sentences, 32 pairs, and a batch of prediction."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--tokens", type=int, nargs="+", default=TOKENS)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--skip-bfloat16", action="store_true", help="not PyTorch's own: very slow without units")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    options = parser.parse_args()
    use_threads(1)
    kind = processor.this()
    print(
        f"{kind}: {'units ' + kind.bfloat16 if kind.bfloat16 else 'no units for bfloat16'}; torch {torch.__version__}"
    )
    print(f"{'tokens x in x out':20} {'product':11} {'float32':>8} GFLOP/s  ratios")
    lines = []
    for width in options.widths:
        for tokens in options.tokens:
            for out in (width, 4 * width):
                lines += measure(tokens, width, out, options)
    if options.json:
        result = {"processor": kind._asdict(), "torch": torch.__version__, "lines": lines}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(tokens: int, width: int, out: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A line per product of a layer, printed and as dictionaries."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(width, out))
    accelerate(layer)
    states, grad, weight = torch.randn(tokens, width), torch.randn(tokens, out), layer[0].weight.detach()
    kinds = {"float32": torch.float32} | ({} if options.skip_bfloat16 else {"bfloat16": torch.bfloat16})
    works: dict[str, dict[str, Callable[[], Any]]] = {"forward": {}, "to inputs": {}, "to weights": {}}
    for name, kind in kinds.items():
        x, w, g = (part.to(kind) for part in (states, weight, grad))
        works["forward"][name] = lambda x=x, w=w: nn.functional.linear(x, w)
        works["to inputs"][name] = lambda w=w, g=g: g @ w
        works["to weights"][name] = lambda x=x, g=g: g.t() @ x
    works["layer"] = {"float32": lambda: _step(layer, states, grad), "engine": lambda: _low_step(layer, states, grad)}
    lines = []
    for product, variants in works.items():
        seconds = alternately(variants, options.repetitions)
        flops = 2 * tokens * width * out * (3 if product == "layer" else 1)
        ratios = {name: seconds["float32"] / value for name, value in seconds.items() if name != "float32"}
        lines.append({"tokens": tokens, "in": width, "out": out, "product": product, "ratios": ratios}
                     | {"gflops": {name: flops / value / 1e9 for name, value in seconds.items()}})  # fmt: skip
        words = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        print(f"{tokens:5} x {width:4} x {out:4} {product:11} {flops / seconds['float32'] / 1e9:8.1f}          {words}",
              flush=True)  # fmt: skip
    return lines


def _step(layer: nn.Module, states: torch.Tensor, grad: torch.Tensor) -> None:
    """Forward and backward pass of a layer."""
    layer(states.requires_grad_()).backward(grad)
    states.grad = None
    layer.zero_grad()


def _low_step(layer: nn.Module, states: torch.Tensor, grad: torch.Tensor) -> None:
    with fixed_weights(), bfloat16_products():
        _step(layer, states, grad)


def alternately(works: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, float]:
    """Median CPU seconds of each work; one that is short runs several times."""
    counts, times = {}, {name: [] for name in works}
    for name, work in works.items():
        work()
        began = time.process_time()
        work()
        counts[name] = max(1, min(100, round(0.01 / max(1e-6, time.process_time() - began))))
    for _ in range(repetitions):
        for name, work in works.items():
            began = time.process_time()
            for _ in range(counts[name]):
                work()
            times[name].append((time.process_time() - began) / counts[name])
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
