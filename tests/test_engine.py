"""The engine: the same mathematics packed or padded, whole or in parts; memory, divergence, states, logs, bad input."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, XLMRobertaConfig, XLMRobertaForMaskedLM

from intermezzo.core import processor, sealed
from intermezzo.core.errors import UserError
from intermezzo.execution import trackers
from intermezzo.modeling.encoder import load_encoder, save_encoder
from intermezzo.modeling.folder import write_manifest
from intermezzo.modeling.heads import format_module
from intermezzo.modeling.importing import import_encoder
from intermezzo.modeling.packing import pack, packed_attention
from intermezzo.modeling.tokenizer import load_tokenizer
from intermezzo.specs.finetuning import FinetuneSpec
from intermezzo.specs.importing import ImportSpec
from intermezzo.tasks.formats import table
from intermezzo.training import gradient, progress, states
from intermezzo.training.batches import TaskBatches
from intermezzo.training.finetune import finetune
from intermezzo.training.gradient import Gradient, split
from specifications import SETTINGS, encoding, head_spec
from toy_training import TASKS, inputs, killed, phases, rows, spec, weights

CASES = [(name, {}) for name in ("colour", "choice", "tags", "where", "text", "find")]
CASES += [(name, {"pooling": "cls"}) for name in ("colour", "choice", "find")]  # these read one token per sequence
CASES += [(name, {"max_length": 8}) for name in ("tags", "text")]  # several windows per row


def batches(folder, name: str, *, dropout: float = 0.0, packs: bool = True, **changes) -> TaskBatches:
    """One batch of 24 toy examples in float64; the same weights for every call."""
    settings = SETTINGS | {"dropout": dropout} | changes
    module, task = format_module(TASKS[name]["format"]), TASKS[name] | {"name": name}
    system = load_encoder(folder, dropout=dropout)
    if not packs:
        system.packs = False
        system.model.set_attn_implementation("eager")
    torch.manual_seed(0)
    head = module.Head(system.hidden_size, head_spec(task, settings))
    if hasattr(head, "attach"):
        head.attach(system, folder)
    features = module.encode(rows(name, 24, 1), load_tokenizer(folder), encoding(task, settings))
    modules = nn.ModuleDict({"encoder": system, "heads": nn.ModuleDict({name: head})}).double()
    batch, ids = [(name, range(len(features)))], {name: [str(i) for i in range(24)]}
    return TaskBatches(modules, {name: name}, {name: features}, batch, ids)


def gradients(work: TaskBatches, micro_tokens: int | None = None) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradient of the batch."""
    torch.manual_seed(1)
    loss, tokens = Gradient(work, "float32", micro_tokens)(0, work.system.zero_grad)
    assert tokens == sum(f.tokens for f in work.features[work.batches[0][0]])
    return float(loss), {n: p.grad.clone() for n, p in work.system.named_parameters() if p.grad is not None}


def assert_same(first: tuple, second: tuple, tolerance: float = 1e-12) -> None:
    assert abs(first[0] - second[0]) < tolerance
    assert first[1].keys() == second[1].keys()
    for name, value in first[1].items():
        torch.testing.assert_close(value, second[1][name], rtol=0, atol=tolerance, msg=name)


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_loss_and_gradient_of_every_format_equal_the_padded_ones(encoder, name, changes):
    """The padded ones are of all layers at all tokens."""
    whole = gradients(batches(encoder, name, **changes))
    assert max(float(g.abs().max()) for g in whole[1].values()) > 1e-4
    assert_same(whole, gradients(batches(encoder, name, packs=False, **changes)))


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_a_batch_in_parts_has_the_gradient_of_the_whole(encoder, name, changes):
    """Tagging and masked text: the mean is over words and masked tokens, of which parts have different numbers."""
    assert_same(gradients(batches(encoder, name, **changes), 40), gradients(batches(encoder, name, **changes)))


def test_parts_of_a_loss_that_compares_examples_see_the_same_dropout_twice(encoder):
    work, seen = batches(encoder, "find", dropout=0.3), []
    outputs = work.outputs

    def recorded(step, items):
        vectors = outputs(step, items)
        seen.append(vectors.detach())
        return vectors

    work.outputs = recorded
    gradients(work, 60)
    half = len(seen) // 2
    assert half > 2 and all(torch.equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))


def test_parts_keep_the_order_and_the_budget():
    assert split([5, 5, 5, 20, 1], 10) == [slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 5)]
    assert split([5, 5], None) == [slice(0, 2)]


def test_one_call_over_padded_states_is_the_same_attention(encoder):
    """The path that a GPU takes; values and gradients."""
    torch.manual_seed(0)
    batch = pack([[3] * n for n in (5, 2, 9, 5)], [[0] * n for n in (5, 2, 9, 5)])
    states = [torch.randn(1, 2, 21, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    results = []
    for how in ({"runs": batch.runs}, {"places": batch.places}):
        attended, _ = packed_attention(nn.Module(), *states, None, scaling=0.5, **how)
        results.append((attended, torch.autograd.grad(attended.pow(3).sum(), states)))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)


# -- memory, precision, divergence ---------------------------------------------------------------------------------


def run(job: FinetuneSpec, encoder, data, tmp_path, name: str) -> None:
    finetune(job, encoder, inputs(data, *(t.name for t in job.tasks)), tmp_path / name, tmp_path / f"{name}.s")


def trained(folder) -> torch.Tensor:
    from safetensors.torch import load_file

    parts = [load_file(folder / name) for name in ("model.safetensors", "heads.safetensors")]
    return torch.cat([value.flatten() for part in parts for _, value in sorted(part.items())])


def test_out_of_memory_halves_the_parts_and_changes_nothing_else(data, encoder, tmp_path, monkeypatch, caplog):
    job = spec("tags", dropout=0.0)
    run(job, encoder, data, tmp_path, "whole")
    outputs = TaskBatches.outputs

    def small(self, step, items):
        result = outputs(self, step, items)  # something is computed before memory is out
        if step >= 3 and sum(item.tokens for item in items) > 50:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return result

    monkeypatch.setattr(TaskBatches, "outputs", small)
    run(job, encoder, data, tmp_path, "parts")
    assert "out of memory at step 4: batches now go in parts of at most" in caplog.text
    torch.testing.assert_close(trained(tmp_path / "parts"), trained(tmp_path / "whole"), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["tags", "find", "text"])
def test_a_batch_that_ran_out_of_memory_is_computed_again_with_the_same_dropout(encoder, name):
    """As if its parts had been that small from the start; random numbers that the failed attempt drew do not count."""
    work = batches(encoder, name, dropout=0.3)
    outputs = work.outputs

    def small(step, items):
        result = outputs(step, items)  # dropout draws before memory runs out
        if sum(item.tokens for item in items) > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return result

    work.outputs = small
    torch.manual_seed(1)
    halved = Gradient(work, "float32")
    loss, _ = halved(0, work.system.zero_grad)
    grads = {key: p.grad for key, p in work.system.named_parameters() if p.grad is not None}
    assert halved.budget < 60
    assert_same((float(loss), grads), gradients(batches(encoder, name, dropout=0.3), halved.budget), 1e-15)


def test_an_example_that_alone_is_too_much_is_one_message(data, encoder, tmp_path, monkeypatch):
    def never(self, step, items):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TaskBatches, "outputs", never)
    with pytest.raises(UserError, match=r"single example of \d+ tokens.*max_length"):
        run(spec("colour"), encoder, data, tmp_path, "m")


@pytest.mark.parametrize("name", ["colour", "text"])
def test_losses_in_bfloat16_are_those_of_float32_and_weights_stay_float32(data, encoder, tmp_path, name):
    losses = {}
    for precision in ("float32", "bfloat16"):
        run(spec(name, epochs=4, dropout=0.0, precision=precision), encoder, data, tmp_path, precision)
        manifest = json.loads((tmp_path / precision / "manifest.json").read_text())
        assert manifest["computed"] == {"precision": precision, "processor": str(processor.this())}
        lines = (tmp_path / precision / "log.jsonl").read_text().splitlines()
        losses[precision] = [json.loads(line)["loss"] for line in lines]
    assert len(losses["float32"]) == 24 and losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], abs=1e-2)
    assert trained(tmp_path / "bfloat16").dtype == torch.float32


def test_a_state_of_another_precision_is_not_gone_on_from(tmp_path, caplog):
    """`auto` on a machine with another kind of processor."""
    model = nn.Linear(4, 4)
    parts = tmp_path / "state.pt", model, torch.optim.AdamW(model.parameters())
    states.State(*parts, "bfloat16").save(3, {})
    assert states.State(*parts, "bfloat16").load()[0] == 3
    assert states.State(*parts, "float32").load() == (0, {})
    assert "a training in bfloat16, this one computes in float32" in caplog.text


def test_a_loss_that_is_no_number_names_step_and_batch_and_keeps_the_last_good_state(
    data, encoder, tmp_path, monkeypatch
):
    monkeypatch.setattr(states, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(states, "SAVE_SHARE", float("inf"))
    loss = TaskBatches.loss
    broken = lambda self, step, outputs, items: loss(self, step, outputs, items) * (float("nan") if step == 6 else 1)  # noqa: E731
    monkeypatch.setattr(TaskBatches, "loss", broken)
    with pytest.raises(UserError, match=r"not a number at step 7 of 12, batch of colour: \d+(, \d+){7};"):
        run(spec("colour"), encoder, data, tmp_path, "m")
    state = torch.load(tmp_path / "m.s" / "state0.pt", weights_only=True)
    assert state["step"] == 6
    assert all(torch.isfinite(value).all() for value in state["modules"].values())


def test_a_diverging_loss_stops_before_it_is_no_number(tmp_path):
    watch = progress.Progress("toy", 0, 1000, tmp_path / "log.jsonl", lambda step: f"number {step}", {})
    ones = torch.tensor(1.0)
    with pytest.raises(UserError, match=r"the loss diverges \(.*it began with 1\) at step .* of 1000, batch number"):
        for step in range(1000):
            watch.add(step, ones * (1 if step < 300 else 1e4), ones, 10)
    watch.close()
    assert 29 <= len((tmp_path / "log.jsonl").read_text().splitlines()) <= 36


# -- states and logs -----------------------------------------------------------------------------------------------


def test_states_cost_a_bounded_share_of_the_time(tmp_path, monkeypatch):
    model = nn.Linear(4, 4)
    state = states.State(tmp_path / "state.pt", model, torch.optim.AdamW(model.parameters()))
    clock = [state.saved]
    monkeypatch.setattr(states.time, "monotonic", lambda: clock[0])

    def after(seconds: float) -> bool:
        clock[0] = state.saved + seconds
        return state.due()

    assert not after(states.SAVE_SECONDS - 1) and after(states.SAVE_SECONDS + 1)
    state.cost = 5.0  # a state that takes five seconds
    assert not after(5.0 / states.SAVE_SHARE - 1) and after(5.0 / states.SAVE_SHARE + 1)
    assert states.SAVE_SHARE < 0.02


def test_a_kill_soon_after_a_resume_keeps_the_log(tmp_path):
    """What was logged before the state that a run resumes from stays, whether or not the run comes to a report."""
    log = tmp_path / "log.jsonl"
    lines = [json.dumps({"run": run, "step": step}) for run in ("other", "toy") for step in (10, 20, 30)]
    log.write_text("\n".join([*lines, '{"run": "toy", "st']))
    progress.Progress("toy", 20, 1000, log, str, {})
    assert log.read_text().splitlines() == lines[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["another model", "no state", "cut"])
def test_a_state_that_does_not_fit_is_not_used(data, encoder, tmp_path, what, caplog):
    run(spec("colour"), encoder, data, tmp_path, "whole")
    place = tmp_path / "again.s" / "state0.pt"
    place.parent.mkdir()
    model = nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    if what == "another model":
        states.State(place, model, optimizer).save(4, {})
    else:
        with sealed.write(place) as part:
            torch.save({"step": 4}, part)
    if what == "cut":
        place.write_bytes(place.read_bytes()[:-40])
    run(spec("colour"), encoder, data, tmp_path, "again")
    assert ("damaged" if what == "cut" else "not a usable state") in caplog.text
    assert weights(tmp_path / "again") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_the_log_has_a_line_for_each_hundredth_and_tensorboard_is_asked_for_by_name(
    data, encoder, tmp_path, monkeypatch
):
    run(spec("colour", epochs=40), encoder, data, tmp_path, "m")
    lines = [json.loads(line) for line in (tmp_path / "m" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(2, 241, 2))
    assert lines[-1]["loss"] < lines[0]["loss"] and lines[-1]["tokens"] > lines[0]["tokens"] > 0
    monkeypatch.setenv(trackers.TENSORBOARD, str(tmp_path / "board"))
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match="tensorboard is not installed"):
            run(spec("colour"), encoder, data, tmp_path, "n")
    else:
        run(spec("colour"), encoder, data, tmp_path, "n")
        assert list((tmp_path / "board").glob("*/events*"))


@pytest.mark.slow
def test_kills_at_any_time_in_any_phase_change_no_weight(data, encoder, tmp_path, monkeypatch):
    """A state after every step, so that a kill often hits the writing of one. benchmarks/resume.py does it 20 times."""
    monkeypatch.setattr(states, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(states, "SAVE_SHARE", float("inf"))
    drawn = random.Random(0)
    low = spec("tags", "text", precision="bfloat16")
    jobs = phases(data, encoder, tmp_path / "state")
    jobs["bfloat16"] = lambda out: finetune(low, encoder, inputs(data, "tags", "text"), out, tmp_path / "state")
    for phase, job in jobs.items():
        began = time.monotonic()
        job(tmp_path / phase)
        took = time.monotonic() - began
        out = tmp_path / f"{phase} killed"
        for _ in range(3):
            killed(lambda job=job, out=out: job(out), drawn.uniform(0.2, 0.9) * took)
        job(out)
        for name in ("model.safetensors", "manifest.json"):
            assert (out / name).read_bytes() == (tmp_path / phase / name).read_bytes(), phase


# -- bad input -----------------------------------------------------------------------------------------------------


def write(tmp_path, name: str, examples: list[dict]) -> dict:
    path = tmp_path / f"{name}.parquet"
    pq.write_table(table(examples, TASKS[name]["format"], TASKS[name]["labels"]), path)
    return {f"{name}/en": path}


def job_of(name: str, **changes) -> FinetuneSpec:
    job = spec(name, **changes)
    return job.replace(tasks=tuple(task.replace(examples=None) for task in job.tasks))


def test_a_batch_larger_than_the_data_takes_all_of_it(encoder, tmp_path):
    paths = write(tmp_path, "colour", rows("colour", 5, 0))
    finetune(job_of("colour", batch_size=64, epochs=3), encoder, paths, tmp_path / "m", tmp_path / "s")
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert manifest["steps"] >= 1 and manifest["loss"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["colour", "choice", "tags", "where", "text", "find"])
@pytest.mark.parametrize("kind", ["empty", "endless"])
def test_empty_and_endless_texts_train(encoder, tmp_path, name, kind):
    examples, text = rows(name, 8, 0), "" if kind == "empty" else "red cat " * 50_000
    for row in examples[:1] if kind == "endless" else examples[:4]:
        for column in ("text", "context"):
            if column in row:
                row[column] = text
        if "tokens" in row:
            row["tokens"] = [text.replace(" ", ""), *row["tokens"][1:]]
        if row.get("answers"):
            row["answers"], row["answer_starts"] = ["red"], [0]
        if kind == "empty" and "answers" in row:
            row["answers"], row["answer_starts"] = [], []
    path = tmp_path / "en.parquet"
    checked = table(rows(name, 8, 0), TASKS[name]["format"], TASKS[name]["labels"])
    pq.write_table(type(checked).from_pylist(examples, checked.schema), path)  # data checks refuse ""
    job = job_of(name, epochs=1)
    finetune(job, encoder, {f"{name}/en": path}, tmp_path / "m", tmp_path / "s")
    assert torch.isfinite(trained(tmp_path / "m")).all()


def test_missing_and_unknown_labels_are_one_message(encoder, tmp_path):
    paths = write(tmp_path, "colour", rows("colour", 8, 0))
    column = pq.read_table(paths["colour/en"])
    for label, message in ((None, "row '3': no label"), ("pink", "row '3': label 'pink'; allowed: red, green")):
        labelled = column.to_pylist()
        labelled[3]["label"] = label
        pq.write_table(type(column).from_pylist(labelled), paths["colour/en"])
        with pytest.raises(UserError, match=message):
            finetune(job_of("colour"), encoder, paths, tmp_path / "m", tmp_path / "s")
    assert not (tmp_path / "m" / "manifest.json").exists()


def test_inputs_longer_than_the_encoder_reads_are_refused(data, encoder, tmp_path):
    with pytest.raises(UserError, match=r"max_length 33: the encoder in .* reads at most 32 tokens"):
        run(spec("colour", max_length=33), encoder, data, tmp_path, "m")


def test_a_checkpoint_of_another_architecture_is_refused(encoder, tmp_path):
    """transformers would fill what is missing with random numbers and say so in a warning."""
    from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

    shape = {"vocab_size": 80, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    save_encoder(BertModel(BertConfig(**shape, intermediate_size=32)), encoder, tmp_path / "bert")
    (tmp_path / "bert" / "config.json").write_text((encoder / "config.json").read_text())
    for name in ("model", "folder"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"another architecture than its config.json .*weights are missing"):
        import_encoder(ImportSpec(source=str(tmp_path / "bert"), revision=None), tmp_path / "model")
    write_manifest(tmp_path / "bert", {})
    with pytest.raises(UserError, match="another architecture"):
        load_encoder(tmp_path / "bert")
    wide = XLMRobertaForMaskedLM(
        XLMRobertaConfig(**shape | {"hidden_size": 32}, intermediate_size=32, type_vocab_size=1)
    )
    save_encoder(wide, encoder, tmp_path / "wide")
    config = AutoConfig.from_pretrained(tmp_path / "wide")
    config.hidden_size = 16
    config.save_pretrained(tmp_path / "wide")
    with pytest.raises(UserError, match="other shapes"):
        import_encoder(ImportSpec(source=str(tmp_path / "wide"), revision=None), tmp_path / "model")
    decoder = GPT2LMHeadModel(GPT2Config(vocab_size=80, n_embd=16, n_layer=1, n_head=2))
    save_encoder(decoder, encoder, tmp_path / "gpt2")
    with pytest.raises(UserError, match="'gpt2' is no encoder"):
        import_encoder(ImportSpec(source=str(tmp_path / "gpt2"), revision=None), tmp_path / "model")
    assert AutoModel.from_pretrained(encoder).config.model_type == "xlm-roberta"


def test_random_states_come_back():
    before = gradient.random_state()
    numbers = torch.rand(3)
    gradient.set_random_state(before)
    assert torch.equal(numbers, torch.rand(3))


@pytest.mark.slow
def test_the_throughput_benchmark_runs_and_its_gate_holds(tmp_path):
    script = Path(__file__).resolve().parent.parent / "benchmarks" / "throughput.py"
    command = [sys.executable, str(script), "--quick", "--synthetic", "--kinds", "pairs", "--json", str(tmp_path / "j")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-2000:]
    result = json.loads((tmp_path / "j").read_text())
    ratios = result["ratios"]["float32"]
    assert ratios.keys() == {"padmax", "dynamic", "grouped"}
    ratios |= {"default": result["pairs"]["default_over_best"]["ratio"]}
    ratios |= {"precisions": result["pairs"]["bfloat16_over_float32"]}
    assert all(0 < low <= middle <= high for low, middle, high in ratios.values())
    assert result["pairs"]["gate"]["dynamic_loss"] < 1e-5 and 0 < result["pairs"]["gate"]["bfloat16_loss"] < 1e-2
