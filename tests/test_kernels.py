"""Our CPU kernels compute what PyTorch's do."""

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from intermezzo.modeling import kernels
from intermezzo.modeling.kernels import Attention, accelerate, kept

RUNS = ((2, 3), (1, 5), (3, 8))
TOKENS = 35


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


@pytest.mark.parametrize("rate", [1e-9, 0.3])
def test_attention_with_dropout_is_that_of_each_sequence_with_the_same_draws(rate):
    torch.manual_seed(0)
    states = [torch.randn(2, TOKENS, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    weights = torch.randn(TOKENS, 2, 4, dtype=torch.float64)
    torch.manual_seed(1)
    made = Attention.apply(*states, RUNS, 0.5, rate)
    torch.manual_seed(1)
    stays, factor = kept((sum(2 * n * s * s for n, s in RUNS),), rate)
    parts, drawn, at = [], 0, 0
    for count, length in RUNS:
        mask = stays[drawn : drawn + 2 * count * length**2].view(2, count, length, length)
        drawn += mask.numel()
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
