"""Our engine and transformers' Trainer over the same examples, each as something that takes one step at a time.

A system runs in a process of its own (a fork) that waits before each step, so that steps of several systems can be
interleaved and timed one by one, whatever loop they are in, and that peak memory is its own. All start from the same
weights and take AdamW (fused), the same schedule, clipping and dropout; the order of the examples is given.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from examples import FORMAT, LENGTH, Examples
from torch import nn
from transformers import (
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForQuestionAnswering,
    XLMRobertaForSequenceClassification,
    XLMRobertaForTokenClassification,
)
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaClassificationHead

from intermezzo.modeling.encoder import Encoder
from intermezzo.modeling.heads import format_module
from intermezzo.modeling.vocabulary import restrict
from intermezzo.specs.encoding import HeadSpec
from intermezzo.specs.optimisation import Optimisation
from intermezzo.training.batches import TaskBatches
from intermezzo.training.loop import decay, device, learning_rate, train

MODELS = {
    "pairs": XLMRobertaForSequenceClassification,
    "qa": XLMRobertaForQuestionAnswering,
    "tagging": XLMRobertaForTokenClassification,
    "mlm": XLMRobertaForMaskedLM,
}
Body = Callable[[Callable[[], None]], None]
OPTIMISATION = {"learning_rate": 1e-4, "weight_decay": 0.01, "warmup": 0.1, "clip": 1.0}


def optimisation(**changes: Any) -> Optimisation:
    """The settings of all systems; batches are the caller's."""
    return Optimisation(**OPTIMISATION | {"batch_size": 1} | changes)


class Stepper:
    """Runs a system in a fork: `make(result)` gives its `body(pause)`, which calls `pause()` before each step.

    result: a dictionary for what the body finds out, sent back at the end. `prepare` is called first, in the fork.
    """

    def __init__(self, make: Callable[[dict], Body], prepare: Callable[[], None]) -> None:
        commands, self._commands = os.pipe()
        answers, answer = os.pipe()
        if not os.fork():
            self._answer, self._listen = answer, commands
            self._began: float | None = None
            status = 1
            try:
                os.close(self._commands)
                prepare()
                result: dict[str, Any] = {}
                make(result)(self._pause)
                result["seconds"] = clock() - self._began
                self._say(result | {"peak_mb": peak_memory()})
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(answer)
        os.close(commands)
        self._answers = os.fdopen(answers)
        self._read()

    def step(self) -> dict[str, Any]:
        """One step; {"seconds": CPU seconds, on a GPU seconds}, and in the last one what the system found out."""
        os.write(self._commands, b"g")
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise SystemExit("a system failed; its error is above")
        return json.loads(line)

    def _say(self, message: dict) -> None:
        os.write(self._answer, (json.dumps(message, default=str) + "\n").encode())

    def _pause(self) -> None:
        self._say({} if self._began is None else {"seconds": clock() - self._began})
        if not os.read(self._listen, 1):
            os._exit(0)
        self._began = clock()


def clock() -> float:
    """CPU seconds of this process; where there is a GPU seconds, all its work done."""
    if device().type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def peak_memory() -> float:
    """MB: of the GPU where there is one, else of this process."""
    if device().type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


class ModernBertClassifier(nn.Module):
    """ModernBERT below XLM-R's classification head, which is ours: its own head is another function."""

    def __init__(self, config: ModernBertConfig, head: XLMRobertaConfig) -> None:
        super().__init__()
        self.config, self.base_model = config, ModernBertModel(config)
        self.classifier = XLMRobertaClassificationHead(head)

    def forward(self, input_ids: Any, attention_mask: Any, labels: Any, **_: Any) -> dict[str, torch.Tensor]:
        logits = self.classifier(self.base_model(input_ids, attention_mask=attention_mask).last_hidden_state)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def build(examples: Examples, shape: dict[str, Any], dropout: float) -> PreTrainedModel:
    """A model with random weights, the same for every call. shape: sizes, and `type` if it is not XLM-R's."""
    torch.manual_seed(0)
    kind = shape.get("type", "xlm-roberta")
    shape = {key: value for key, value in shape.items() if key != "type"}
    config = XLMRobertaConfig(
        **shape,
        max_position_embeddings=LENGTH[examples.kind] + 2,
        type_vocab_size=1,
        num_labels=len(examples.labels) or 2,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    if kind == "xlm-roberta":
        return MODELS[examples.kind](config)
    own = shape | {"intermediate_size": 3 * shape["hidden_size"] // 2}  # of a gated layer, as in the published ones
    rates = dict.fromkeys(("attention_dropout", "embedding_dropout", "mlp_dropout"), dropout)
    special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
    return ModernBertClassifier(ModernBertConfig(**own, **rates, **special, max_position_embeddings=512), config)


def ours(
    model: PreTrainedModel, examples: Examples, batches: list[list[int]], folder: Path, options: dict[str, Any]
) -> Body:
    """Our loop over transformers' encoder and our head with the model's weights."""
    encoder, kind = Encoder(model.base_model), examples.kind
    spec = HeadSpec(labels=tuple(examples.labels), pooling="cls", dropout=options["dropout"])
    head = format_module(FORMAT[kind]).Head(encoder.hidden_size, spec)
    copy_head(model, head, kind)
    if kind == "mlm":
        head.corrupt = lambda features: features  # masked before
        options["restore"] = lambda: None
    elif not options.get("restrict", True):
        options["restore"] = lambda: None
    else:
        restore = restrict(encoder, {token for feature in examples.features for token in feature.sequences[0]})
        options["restore"] = lambda: restore(decay(len(batches), optimisation()))
    system = nn.ModuleDict({"encoder": encoder, "heads": nn.ModuleDict({kind: head})}).to(device())
    log = folder / "log.jsonl"

    def body(pause: Callable[[], None]) -> None:
        work = TaskBatches(system, {kind: kind}, {kind: examples.features}, [(kind, b) for b in batches], {})
        items = work.items

        def paused(step: int) -> list:
            pause()
            return items(step)

        work.items = paused
        settings = optimisation(precision=options["precision"], micro_tokens=options.get("micro_tokens"))
        options["loss"] = train(
            system,
            work,
            len(batches),
            settings,
            state=folder / "no state",
            log=log,
            name=options["name"],
            precision=options["precision"],
        )

    return body


def copy_head(model: PreTrainedModel, head: nn.Module, kind: str) -> None:
    """The weights of a transformers head into ours: the same functions by other names."""
    parts = {
        "pairs": lambda: {"dense": model.classifier.dense, "out": model.classifier.out_proj},
        "qa": lambda: {"out": model.qa_outputs},
        "tagging": lambda: {"out": model.classifier},
        "mlm": lambda: {"dense": model.lm_head.dense, "norm": model.lm_head.layer_norm},
    }[kind]()
    for name, part in parts.items():
        getattr(head, name).load_state_dict(part.state_dict())
    if kind == "mlm":
        head._embeddings = [model.get_input_embeddings().weight]
        head.bias = nn.Parameter(model.lm_head.bias.detach().clone())
        head.norm.eps = model.config.layer_norm_eps


def collator(examples: Examples, padding: str) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(examples.tokenizer, pad_token="<pad>")
    fixed = {"padding": "max_length", "max_length": LENGTH[examples.kind]} if padding == "padmax" else {}
    per_token = examples.kind in ("tagging", "mlm")
    return (DataCollatorForTokenClassification if per_token else DataCollatorWithPadding)(tokenizer, **fixed)


class InOrder(Trainer):
    """A Trainer that takes its examples in the order given, and keeps its losses."""

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        result = super().compute_loss(*args, **kwargs)
        self.losses.append((result[0] if isinstance(result, tuple) else result).detach())
        return result


def trainer(
    model: PreTrainedModel,
    examples: Examples,
    batches: list[list[int]],
    folder: Path,
    options: dict[str, Any],
    padding: str,
) -> Body:
    """transformers' Trainer, padding to a fixed length (`padmax`) or to the longest of each batch."""
    steps = len(batches)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": OPTIMISATION["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
    model = model.to(device())
    optimizer = torch.optim.AdamW(groups, lr=OPTIMISATION["learning_rate"], fused=True)
    peak = OPTIMISATION["learning_rate"]
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(min(step, steps - 1), steps, optimisation()) / peak
    )
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=len(batches[0]),
        max_steps=steps,
        max_grad_norm=OPTIMISATION["clip"],
        bf16=options["precision"] == "bfloat16",
        use_cpu=device().type == "cpu",
        remove_unused_columns=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    waits = Waiting()
    run = InOrder(
        model=model,
        args=arguments,
        train_dataset=[examples.for_trainer(i) for batch in batches for i in batch],
        data_collator=collator(examples, padding),
        optimizers=(optimizer, rates),
        callbacks=[waits],
    )
    run.losses = []
    run.remove_callback(PrinterCallback)

    def body(pause: Callable[[], None]) -> None:
        waits.pause = pause
        run.train()
        options["loss"] = float(torch.stack(run.losses[-max(1, steps // 10) :]).mean())
        options["losses"] = torch.stack(run.losses).tolist()

    return body


class Waiting(TrainerCallback):
    """Pauses before each step."""

    pause: Callable[[], None]

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.pause()
