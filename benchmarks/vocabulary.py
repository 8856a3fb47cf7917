"""What embedding rows that never occur cost: step time and memory with all rows and with those that occur.

    INTERMEZZO_REAL_DATA=../shared/real python benchmarks/vocabulary.py --json vocabulary.json

XLM-R base's shape (12 x 768, 250,002 rows), random weights, sentence pairs. Each variant runs in a process of its own
(peak memory is a process's), several times in turn. Both are saved as models are, opened in plain transformers, and
their hidden states compared on texts that training did not see.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from examples import Examples, load
from systems import OPTIMISATION, Body, Stepper, build, ours, peak_memory
from throughput import SHAPES
from transformers import AutoModel

from intermezzo.modeling.encoder import save_encoder
from intermezzo.training.loop import use_threads


def main() -> None:
    options = _arguments()
    torch.set_num_threads(options.threads)
    OPTIMISATION["learning_rate"] = 2e-5
    result: dict[str, Any] = {"all": [], "occurring": []}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        examples = load(["pairs"], folder, limit=20_000)["pairs"]
        for _ in range(options.repetitions):
            for variant, runs in result.items():
                runs.append(_run(variant, examples, folder, options))
                print(variant, runs[-1], flush=True)
        states = {variant: _states(folder / variant, examples) for variant in result}
    result: dict[str, Any] = {"settings": vars(options)}
    for variant, runs in result.items():
        seconds = sorted(s for run in runs for s in run["seconds"])
        result[variant] = {
            "seconds_per_step": [seconds[0], statistics.median(seconds), seconds[-1]],
            "peak_mb": max(run["peak_mb"] for run in runs),
        }
    result["largest_difference"] = float((states["all"] - states["occurring"]).abs().max())
    print(json.dumps(result, indent=1))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _run(variant: str, examples: Examples, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Step times and peak memory of a run in a fork, which saves its model."""
    system = Stepper(partial(_make, variant, examples, folder, options), partial(use_threads, options.threads))
    steps = [system.step() for _ in range(options.steps + 1)]
    saved = steps.pop(0) and system.step()
    return {"seconds": [step["seconds"] for step in steps], "peak_mb": saved["peak"]}


def _make(variant: str, examples: Examples, folder: Path, options: argparse.Namespace, result: dict) -> Body:
    model = build(examples, SHAPES[options.shape] | {"vocab_size": options.vocabulary}, 0.0)
    batches = [list(range(i * options.batch, (i + 1) * options.batch)) for i in range(options.steps + 1)]
    result |= {"name": variant, "dropout": 0.0, "precision": "float32", "restrict": variant == "occurring"}
    train = ours(model, examples, batches, folder, result)

    def body(pause: Any) -> None:
        train(pause)
        pause()  # saving is no part of the last step
        result["peak"] = peak_memory()
        result.pop("restore")()
        save_encoder(model.roberta.cpu(), examples.tokenizer, folder / variant)

    return body


def _states(folder: Path, examples: Examples) -> torch.Tensor:
    """Hidden states by plain transformers."""
    model = AutoModel.from_pretrained(folder).eval()
    model.set_attn_implementation("sdpa")
    with torch.inference_mode():
        output = [model(torch.tensor(f.sequences)).last_hidden_state[0] for f in examples.features[-8:]]
    return torch.cat(output)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="base", choices=SHAPES)
    parser.add_argument("--vocabulary", type=int, default=250_002)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2, help="timed steps of each run, after one that is not")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", help="folder for the models (2.5 GB); default: that of temporary files")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
