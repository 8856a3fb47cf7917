"""Our CPU kernels compute what PyTorch's do."""

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

import test_engine as engine
from intermezzo.core import processor
from intermezzo.evaluation.predict import predictor
from intermezzo.modeling import attention, kernels, packing
from intermezzo.modeling.attention import Attention
from intermezzo.modeling.kernels import SFC64_FROM, accelerate, dropout_masks
from intermezzo.training import hardware
from intermezzo.training.finetune import finetune
from specifications import SETTINGS, prediction
from toy_training import TASKS, inputs, rows, spec

RUNS = ((2, 3), (1, 5), (3, 8))
TOKENS = 35
HEADS = 3


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers_give_the_same_values_and_gradients(bias):
    torch.manual_seed(0)
    plain, ours = nn.Linear(160, 200, bias=bias), nn.Sequential(nn.Linear(160, 200, bias=bias), nn.Linear(4, 4))
    ours[0].load_state_dict(plain.state_dict())
    accelerate(ours)
    assert type(ours[0]) is kernels.Linear and type(ours[1]) is kernels.PlainLinear  # too small to gain
    results = []
    for layer in (plain, ours[0]):
        values = torch.linspace(-1, 1, 160 * 21).view(1, 21, 160).sin().requires_grad_()
        out = layer(values)
        results.append([out, *torch.autograd.grad(out.pow(2).sum(), [values, *layer.parameters()])])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert ours[0].double()(values.detach().double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert ours[0].float()(values).dtype == torch.bfloat16


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.1))
    accelerate(model)
    values = torch.ones(1000, 1001, requires_grad=True)
    out = model(values)
    dropped = (out == 0).float().mean()
    assert abs(float(dropped) - 0.1) < 0.002 and abs(float(out.detach().mean()) - 1) < 0.002
    out.sum().backward()
    assert torch.equal(values.grad, out.detach())
    rows = (out == 0).float()
    assert float(rows.mean(0).std()) < 0.015 and float(rows.mean(1).std()) < 0.015
    assert torch.equal(model.eval()(values), values)
    torch.manual_seed(5)
    one = model.train()(values)
    torch.manual_seed(5)
    assert torch.equal(one, model(values))


@pytest.mark.parametrize("counts", [(SFC64_FROM - 5, 1), (SFC64_FROM // 2, 6, SFC64_FROM // 2)])
def test_what_stays_is_drawn_anew_each_time_and_by_the_seed(counts):
    """Fewer than SFC64_FROM by PyTorch's generator, more by numpy's."""

    def draw() -> tuple[list[torch.Tensor], float]:
        drawn, factor = dropout_masks(counts, 0.25)
        return list(drawn), factor

    torch.manual_seed(3)
    (one, factor), (other, _) = draw(), draw()
    assert [len(part) for part in one] == list(counts) and factor == 4 / 3
    assert {int(value) for part in one for value in part.unique()} == {0, 1}
    for part in (one[0], other[0]):
        assert abs(float(part.float().mean()) - 0.75) < 0.01
    assert not torch.equal(one[0], other[0]) and not torch.equal(one[0][:9999], one[0][9999:19998])
    torch.manual_seed(3)
    for drawn, expected in ((draw()[0], one), (draw()[0], other)):
        assert all(map(torch.equal, drawn, expected))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("block", [attention.BLOCK, 1, 9, 60])
@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.3])
def test_attention_with_dropout_is_that_of_each_sequence_with_the_same_draws(monkeypatch, rate, block, threads):
    """In whole runs, a head of a sequence at a time, and in blocks that end within heads and within runs."""
    monkeypatch.setattr(attention, "BLOCK", block)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    torch.manual_seed(0)
    states = [torch.randn(TOKENS, HEADS, 4, dtype=torch.float64).transpose(0, 1).requires_grad_() for _ in range(3)]
    weights = torch.randn(TOKENS, HEADS, 4, dtype=torch.float64)
    torch.manual_seed(1)
    out = Attention.apply(*states, RUNS, 0.5, rate)
    blocks = list(attention._blocks(HEADS, RUNS))
    assert sum(block.numel for block in blocks) == sum(HEADS * n * s * s for n, s in RUNS)
    torch.manual_seed(1)
    draws, factor = dropout_masks([block.numel for block in blocks], rate)
    masks = [torch.zeros(HEADS, n, s, s, dtype=torch.int8) for n, s in RUNS]
    begins = [0, 6, 11]
    for block, stays in zip(blocks, draws, strict=True):
        heads, count, length = block.shape
        run = [s for _, s in RUNS].index(length)
        first = (block.tokens.start - begins[run]) // length
        masks[run][block.heads, first : first + count] = stays.view(heads, count, length, length)
    parts, at = [], 0
    for (count, length), mask in zip(RUNS, masks, strict=True):
        for i in range(count):
            q, k, v = (part[:, at : at + length] for part in states)
            shares = torch.softmax(q @ k.transpose(1, 2) * 0.5, -1) * mask[:, i] * factor
            parts.append((shares @ v).transpose(0, 1))
            if rate < 1e-6:
                plain = scaled_dot_product_attention(q, k, v, scale=0.5).transpose(0, 1)
                torch.testing.assert_close(parts[-1], plain)
            at += length
    expected = torch.cat(parts)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    ours, theirs = (torch.autograd.grad((result * weights).sum(), states) for result in (out, expected))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lengths", [(1,), (1, 1, 2), (3, 40, 40, 41), (400, 401)])
@pytest.mark.parametrize("transposed", [True, False])
def test_training_without_dropout_attends_as_pytorch_does(monkeypatch, lengths, transposed):
    """Through the path that training takes, in float32, for rows that lie by token or by head."""
    torch.manual_seed(0)
    tokens, runs = sum(lengths), tuple((lengths.count(n), n) for n in sorted(set(lengths)))
    layouts = [
        torch.randn(tokens, HEADS, 4).transpose(0, 1) if transposed else torch.randn(HEADS, tokens, 4) for _ in "qkv"
    ]
    states = [part[None].requires_grad_() for part in layouts]
    weights = torch.randn(1, tokens, HEADS, 4)
    results = []
    for ours in (True, False):
        monkeypatch.setattr(packing, "use_kernels", lambda _, ours=ours: ours)
        mixed, _ = packing.packed_attention(None, *states, None, 0.0, 0.5, runs)
        assert ("Attention" in mixed.grad_fn.next_functions[0][0].name()) == ours
        results.append([mixed, *torch.autograd.grad(mixed, states, weights)])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def attention_inputs() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(1, HEADS, TOKENS, 4, requires_grad=True) for _ in range(3)]


@pytest.mark.parametrize("changed", ["key", "value", "query"])
def test_attention_notices_what_is_changed_in_place_after_the_forward_pass(changed):
    """As PyTorch's own operations do. The query is read no more: the gradient stays what it was."""
    inputs = attention_inputs()
    states = dict(zip(("query", "key", "value"), (x * 1 for x in inputs), strict=True))
    out, _ = packing.packed_attention(None, *states.values(), None, 0.0, 0.5, RUNS)
    expected = torch.autograd.grad(out.sum(), inputs, retain_graph=True)
    states[changed].add_(1)
    if changed == "query":
        torch.testing.assert_close(torch.autograd.grad(out.sum(), inputs), expected, rtol=0, atol=0)
    else:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


def test_attention_has_no_second_derivative_and_says_so():
    inputs = attention_inputs()
    out, _ = packing.packed_attention(None, *inputs, None, 0.0, 0.5, RUNS)
    (grad,) = torch.autograd.grad(out.pow(2).sum(), inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.fixture
def no_private_operations(monkeypatch):
    """A PyTorch whose private operations have gone, or take other arguments."""
    checks = (kernels.has_onednn_linear, attention._has_softmax_backward)
    monkeypatch.setattr(torch, "_softmax_backward_data", lambda *_: None)
    monkeypatch.setattr(kernels, "_onednn_linear", lambda values, weight: values)
    for check in checks:
        check.cache_clear()
    yield
    monkeypatch.undo()
    for check in checks:
        check.cache_clear()


def test_without_pytorchs_private_operations_its_public_ones_run(no_private_operations):
    model = nn.Sequential(nn.Linear(160, 200), nn.Dropout(0.1))
    values = torch.randn(3, 160)
    expected = model.eval()(values)
    accelerate(model)
    assert torch.equal(model(values), expected)
    inputs = attention_inputs()
    results = []
    for plain in ("0", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(kernels.PLAIN, plain)
            out, _ = packing.packed_attention(None, *inputs, None, 0.0, 0.5, RUNS)
        results.append([out, *torch.autograd.grad(out.pow(2).sum(), inputs)])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


# -- bfloat16 --------------------------------------------------------------------------------------------------------


UNITS = processor.Processor("one with units", "amx_bf16", "avx512f")


@pytest.mark.parametrize("bias", [True, False])
def test_products_in_bfloat16_are_those_of_float64_but_for_its_rounding(monkeypatch, bias):
    """Values and gradients, by units for bfloat16 and by rounding: both sum up in float32."""
    torch.manual_seed(0)
    exact = nn.Linear(160, 96, bias=bias, dtype=torch.float64)
    values = torch.randn(2, 21, 160, dtype=torch.float64)
    results = {}
    for kind in (None, processor.Processor("one without", "", "avx2"), UNITS):
        model, inputs = nn.Sequential(nn.Linear(160, 96, bias=bias)), values.float().requires_grad_()
        model[0].load_state_dict(exact.state_dict())
        if kind is None:
            model, inputs = nn.Sequential(exact), values.clone().requires_grad_()
        accelerate(model)
        monkeypatch.setattr(processor, "this", lambda kind=kind: kind)
        with kernels.bfloat16_products():
            out = model(inputs).add_(0)  # some models go on in place
        results[kind] = [out.detach(), *torch.autograd.grad(out.sin().sum(), [inputs, *model.parameters()])]
    exactly, by_rounding, by_units = results.values()
    for value, rounded, native in zip(exactly, by_rounding, by_units, strict=True):
        assert value.dtype == torch.float64 and rounded.dtype == native.dtype == torch.float32
        assert 1e-5 < float((rounded - value).norm() / value.norm()) < 2**-7
        torch.testing.assert_close(native, rounded, rtol=2**-7, atol=1e-5)


def test_a_weight_is_rounded_once_while_it_is_fixed_and_anew_after_a_step():
    """PyTorch's version of a weight does not count the steps of a fused optimizer."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    accelerate(model)
    values, (weight, *_) = torch.ones(1, 8), model.parameters()
    optimizer, results = torch.optim.AdamW(model.parameters(), lr=1.0, fused=True), []
    for _ in range(2):
        with kernels.fixed_weights():
            copies = []
            for _ in range(2):
                with kernels.bfloat16_products():
                    results.append(model(values))
                    copies.append(kernels.rounded(weight))
            assert copies[0] is copies[1] and torch.equal(copies[0], weight.detach().bfloat16())
            results[-1].sum().backward()
        optimizer.step()
    assert torch.equal(results[0], results[1]) and not torch.equal(results[1], results[2])
    assert not kernels._copies and [*model.state_dict()] == ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize("kind", ["amx_bf16", "avx512_bf16", ""])
def test_auto_is_bfloat16_on_matrix_units_and_wide_models_alone(monkeypatch, kind):
    monkeypatch.setattr(processor, "this", lambda: processor.Processor("a processor", kind))
    assert hardware.resolve("auto", 768) == ("bfloat16" if kind == "amx_bf16" else "float32")
    assert hardware.resolve("auto", 64) == "float32"
    assert hardware.resolve("bfloat16", 64) == "bfloat16" and hardware.resolve("float32", 768) == "float32"


CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C
flags\t\t: fpu sse2 avx avx2 avx512f{flags}

processor\t: 1
model name\t: another
"""


@pytest.mark.parametrize(("text", "expected"), [
    (CPUINFO.format(flags=" avx512_bf16 amx_bf16"), ("Intel(R) Xeon(R) Platinum 8481C", "amx_bf16", "avx512f")),
    (CPUINFO.format(flags=" avx512_bf16"), ("Intel(R) Xeon(R) Platinum 8481C", "avx512_bf16", "avx512f")),
    (CPUINFO.format(flags=""), ("Intel(R) Xeon(R) Platinum 8481C", "", "avx512f")),
    ("model name : ARM\nFeatures : fp asimd bf16\n", ("ARM", "bf16", "asimd")),
])  # fmt: skip
def test_the_kind_of_a_processor_is_read_off_its_flags(text, expected):
    assert processor.parse(text) == expected
    assert processor.parse("").name and not processor.parse("").bfloat16


# -- the switch ------------------------------------------------------------------------------------------------------


@pytest.fixture
def both_ways(monkeypatch):
    """both_ways(function): its results with our operations and with PyTorch's; calls say which attention ran."""
    monkeypatch.setattr(kernels, "MIN_WEIGHTS", 1)  # the toy encoder is small
    calls = []
    apply = Attention.apply
    monkeypatch.setattr(packing.Attention, "apply", lambda *args: calls.append(args) or apply(*args))

    def run(function):
        results = []
        for plain in ("0", "1"):
            monkeypatch.setenv(kernels.PLAIN, plain)
            calls.clear()
            results.append(function())
            assert bool(calls) == (plain == "0")
        return results

    return run


@pytest.mark.parametrize("name", ["colour", "choice", "tags", "where", "text", "find"])
def test_the_switch_runs_pytorchs_operations_with_the_same_loss_and_gradient(encoder, both_ways, name):
    def compute() -> dict[str, torch.Tensor]:
        work = engine.batches(encoder, name)
        work.system.float()
        layers = {type(module) for module in work.system["encoder"].modules()}
        assert (nn.Linear in layers and nn.Dropout in layers) == kernels.plain_kernels()
        loss, gradients = engine.gradients(work)
        return gradients | {"loss": torch.tensor(loss)}

    ours, plain = both_ways(compute)
    assert ours.keys() == plain.keys() and len(ours) > 20
    for key, value in ours.items():
        torch.testing.assert_close(value, plain[key], rtol=1e-4, atol=1e-5, msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["colour", "tags", "where"])
def test_the_switch_changes_no_training_and_no_prediction_beyond_float_error(
    data, encoder, both_ways, tmp_path, name, monkeypatch
):
    task = TASKS[name] | {"name": name}

    def train() -> tuple[list[float], list]:
        out = tmp_path / os.environ[kernels.PLAIN]
        finetune(spec(name, dropout=0.0), encoder, inputs(data, name), out, tmp_path / "state")
        losses = [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]
        return losses, predictor(prediction(task, SETTINGS), out)(rows(name, 40, 3), "en")

    (losses, predictions), (plain_losses, plain_predictions) = both_ways(train)
    assert len(losses) == 12 and losses == pytest.approx(plain_losses, abs=1e-4)
    assert predictions == plain_predictions


@pytest.mark.slow
@pytest.mark.parametrize("threads_variable", ["1", "2", None])
def test_one_thread_is_one_in_numpys_products_too(threads_variable):
    """Attention multiplies by numpy, whose library has threads of its own."""
    program = "from intermezzo.training.hardware import use_threads; use_threads(1); import threadpoolctl; "
    program += "print({p['num_threads'] for p in threadpoolctl.threadpool_info() if p['user_api'] == 'blas'})"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment |= {"OPENBLAS_NUM_THREADS": threads_variable} if threads_variable else {}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "{1}"


@pytest.mark.parametrize("window", [1, 2, 6])
@pytest.mark.parametrize("block", [attention.BLOCK, 1, 60])
def test_attention_with_a_window_is_that_of_a_band(monkeypatch, window, block):
    """Queries in groups of two or more, which share keys; sequences that a window covers are whole."""
    monkeypatch.setattr(attention, "BLOCK", block)
    monkeypatch.setattr(attention, "LEAST_QUERIES", 2)
    torch.manual_seed(0)
    states = [torch.randn(TOKENS, HEADS, 4, dtype=torch.float64).transpose(0, 1).requires_grad_() for _ in range(3)]
    weights = torch.randn(TOKENS, HEADS, 4, dtype=torch.float64)
    out, parts, start = Attention.apply(*states, RUNS, 0.5, 0.0, window), [], 0
    for count, length in RUNS:
        for _ in range(count):
            q, k, v = (part[:, start : start + length] for part in states)
            band = packing.near(length, window, torch.device("cpu"))
            parts.append(scaled_dot_product_attention(q, k, v, band, scale=0.5).transpose(0, 1))
            start += length
    expected = torch.cat(parts)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    ours, theirs = (torch.autograd.grad((result * weights).sum(), states) for result in (out, expected))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
