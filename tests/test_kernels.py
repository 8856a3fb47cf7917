"""Our CPU kernels compute what PyTorch's do."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from intermezzo.modeling import attention, kernels, packing
from intermezzo.modeling.attention import Attention
from intermezzo.modeling.kernels import MANY, accelerate, kept

RUNS = ((2, 3), (1, 5), (3, 8))
TOKENS = 35
HEADS = 3


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers_give_the_same_values_and_gradients(bias):
    torch.manual_seed(0)
    plain, ours = nn.Linear(160, 200, bias=bias), nn.Sequential(nn.Linear(160, 200, bias=bias), nn.Linear(4, 4))
    ours[0].load_state_dict(plain.state_dict())
    accelerate(ours)
    assert (
        type(ours[0]) is (kernels.Linear if kernels._ONEDNN else nn.Linear) and type(ours[1]) is nn.Linear
    )  # too small to gain
    results = []
    for layer in (plain, ours[0]):
        values = torch.linspace(-1, 1, 160 * 21).view(1, 21, 160).sin().requires_grad_()
        made = layer(values)
        results.append([made, *torch.autograd.grad(made.pow(2).sum(), [values, *layer.parameters()])])
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
    made = model(values)
    dropped = (made == 0).float().mean()
    assert abs(float(dropped) - 0.1) < 0.002 and abs(float(made.detach().mean()) - 1) < 0.002
    made.sum().backward()
    assert torch.equal(values.grad, made.detach())
    rows = (made == 0).float()
    assert float(rows.mean(0).std()) < 0.015 and float(rows.mean(1).std()) < 0.015
    assert torch.equal(model.eval()(values), values)
    torch.manual_seed(5)
    one = model.train()(values)
    torch.manual_seed(5)
    assert torch.equal(one, model(values))


@pytest.mark.parametrize("counts", [(MANY - 5, 1), (MANY // 2, 6, MANY // 2)])
def test_what_stays_is_drawn_anew_each_time_and_by_the_seed(counts):
    """Fewer than MANY by PyTorch's generator, more by numpy's."""

    def draw() -> tuple[list[torch.Tensor], float]:
        drawn, factor = kept(counts, 0.25)
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
    made = Attention.apply(*states, RUNS, 0.5, rate)
    blocks = list(attention._blocks(HEADS, RUNS))
    assert sum(block.numbers for block in blocks) == sum(HEADS * n * s * s for n, s in RUNS)
    torch.manual_seed(1)
    draws, factor = kept([block.numbers for block in blocks], rate)
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
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-12)
    ours, theirs = (torch.autograd.grad((out * weights).sum(), states) for out in (made, expected))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lengths", [(1,), (1, 1, 2), (3, 40, 40, 41), (400, 401)])
@pytest.mark.parametrize("transposed", [True, False])
def test_training_without_dropout_attends_as_pytorch_does(monkeypatch, lengths, transposed):
    """Through the path that training takes, in float32, for rows that lie by token or by head."""
    torch.manual_seed(0)
    tokens, runs = sum(lengths), tuple((lengths.count(n), n) for n in sorted(set(lengths)))
    made = [
        torch.randn(tokens, HEADS, 4).transpose(0, 1) if transposed else torch.randn(HEADS, tokens, 4) for _ in "qkv"
    ]
    states = [part[None].requires_grad_() for part in made]
    weights = torch.randn(1, tokens, HEADS, 4)
    found = []
    for ours in (True, False):
        monkeypatch.setattr(packing, "applies", lambda _, ours=ours: ours)
        mixed, _ = packing.packed_attention(None, *states, None, 0.0, 0.5, runs)
        assert ("Attention" in mixed.grad_fn.next_functions[0][0].name()) == ours
        found.append([mixed, *torch.autograd.grad(mixed, states, weights)])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["1", "2", None])
def test_one_thread_is_one_in_numpys_products_too(given):
    """Attention multiplies by numpy, whose library has threads of its own."""
    program = "from intermezzo.training.hardware import use_threads; use_threads(1); import threadpoolctl; "
    program += "print({p['num_threads'] for p in threadpoolctl.threadpool_info() if p['user_api'] == 'blas'})"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment |= {"OPENBLAS_NUM_THREADS": given} if given else {}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "{1}"
