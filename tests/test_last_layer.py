"""What of an encoder is not computed: layers above the one that is read, and in the last layer what nothing reads."""

import pytest
import torch
from torch import nn

from intermezzo.evaluation import predict
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.heads import format_module
from intermezzo.modeling.packing import Packed, pack
from intermezzo.modeling.tokenizer import load_tokenizer
from intermezzo.training import pretrain
from intermezzo.training.batches import TaskBatches
from intermezzo.training.finetune import finetune
from intermezzo.training.gradient import Gradient
from specifications import SETTINGS, encoding, head_spec, prediction
from test_modeling import encoder as random_encoder
from toy_training import PRETRAIN, TASKS, inputs, rows, spec

LENGTHS = [7, 3, 7, 12, 3, 1]


def batch(typed: bool = False) -> Packed:
    sequences = [[5 + (i * 7 + j) % 150 for j in range(n)] for i, n in enumerate(LENGTHS)]
    return pack(sequences, [[int(typed and j > 2) for j in range(n)] for n in LENGTHS])


def seen_by(module: nn.Module) -> list[int]:
    """The numbers of tokens for which a module is called, filled as it is."""
    seen: list[int] = []
    module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    return seen


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
@pytest.mark.parametrize("layer", [None, 1, 2])
def test_states_that_are_read_and_gradients_are_those_of_a_whole_last_layer(kind, layer):
    packed, read = batch(kind == "bert"), torch.tensor([32, 0, 17, 4, 9, 31])
    results = []
    for tokens_read in (None, read):
        system = random_encoder(kind)
        last = seen_by(system.model.encoder.layer[(layer or 2) - 1].output)
        states = system(packed, layer, tokens_read)[read]
        states.pow(3).sum().backward()
        results.append((states, {name: p.grad for name, p in system.named_parameters() if p.grad is not None}))
        assert last == [sum(LENGTHS) if tokens_read is None else len(read)]
    (whole, gradients), (sparse, others) = results
    torch.testing.assert_close(sparse, whole, rtol=0, atol=1e-12)
    assert others.keys() == gradients.keys() and len(others) > 15
    for name, value in gradients.items():
        torch.testing.assert_close(others[name], value, rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("read", [torch.tensor([]), torch.arange(32)])
def test_all_tokens_are_computed_where_none_or_most_are_asked_for(read):
    """A batch of sentences without words reads nothing."""
    system = random_encoder("bert")
    assert torch.equal(system(batch(), rows=read), system(batch()))


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
def test_a_layer_is_that_of_transformers_and_those_above_are_not_computed(kind):
    system, packed = random_encoder(kind).eval(), batch()
    positions = packed.positions[None] + (2 if kind == "xlm-roberta" else 0)
    whole = system.model(packed.tokens[None], position_ids=positions, runs=packed.runs, output_hidden_states=True)
    calls = [seen_by(module.output) for module in system.model.encoder.layer]
    for layer in range(3):
        assert torch.equal(system(packed, layer), whole.hidden_states[layer][0])
        sparse = system(packed, layer, packed.starts)[packed.starts]
        torch.testing.assert_close(sparse, whole.hidden_states[layer][0][packed.starts], rtol=0, atol=1e-12)
        assert [len(seen) for seen in calls] == [2 * (at < layer) for at in range(2)]
        for seen in calls:
            seen.clear()


def test_a_forward_pass_that_fails_leaves_the_encoder_as_it_was():
    system, packed = random_encoder("bert"), batch()
    expected, names = system(packed), list(system.state_dict())

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    for part in (system.model.encoder.layer[0].attention, system.model.encoder.layer[0].output):
        hook = part.register_forward_pre_hook(fail)
        with pytest.raises(torch.OutOfMemoryError):
            system(packed, 1, packed.starts)
        hook.remove()
        assert torch.equal(system(packed), expected)
        assert list(system.state_dict()) == names and len(system.model.encoder.layer) == 2


def read_of(encoder, name: str, **changes) -> tuple[int, int]:
    """For how many tokens a batch's outputs compute the last layer to its end, and how many there are."""
    settings, task = SETTINGS | changes, TASKS[name] | {"name": name}
    module, system = format_module(task["format"]), load_encoder(encoder)
    head = module.Head(system.hidden_size, head_spec(task, settings))
    items = module.encode(rows(name, 12, 1), load_tokenizer(encoder), encoding(task, settings))
    if hasattr(head, "attach"):
        head.attach(system, encoder)
        items = head.corrupt(items)
    seen = seen_by(system.model.encoder.layer[-1].output)
    modules = nn.ModuleDict({"encoder": system, "heads": nn.ModuleDict({name: head})})
    TaskBatches(modules, {name: name}, {name: items}, [(name, range(12))], {}).outputs(0, items)
    return seen[0], sum(item.tokens for item in items)


def test_each_format_reads_no_more_than_it_needs(encoder):
    for name, sequences in (("colour", 12), ("choice", sum(len(r["choices"]) for r in rows("choice", 12, 1)))):
        assert read_of(encoder, name, pooling="cls")[0] == sequences
        counts = read_of(encoder, name, pooling="mean")
        assert counts[0] == counts[1]
    assert read_of(encoder, "find", pooling="cls")[0] == 24
    words, tokens = read_of(encoder, "tags")
    assert words == sum(len(row["tokens"]) for row in rows("tags", 12, 1)) < 0.9 * tokens
    masked, tokens = read_of(encoder, "text")
    assert 12 <= masked < 0.4 * tokens
    counts = read_of(encoder, "where")
    assert counts[0] == counts[1]


@pytest.mark.parametrize("micro_tokens", [None, 40])
def test_pretraining_has_the_gradient_of_the_padded_batch(encoder, micro_tokens):
    text = {language: rows("text", 12, seed) for seed, language in enumerate(PRETRAIN.languages)}
    results = []
    for packs in (True, False):
        model = pretrain._model(PRETRAIN, load_tokenizer(encoder).get_vocab_size()).double()
        work = pretrain._MaskedText(model, PRETRAIN, text, encoder)
        if not packs:
            work.encoder.packs = False
            work.encoder.model.set_attn_implementation("eager")
        seen = seen_by(work.encoder.model.encoder.layer[-1].output)
        loss, tokens = Gradient(work, "float32", micro_tokens if packs else None)(0, model.zero_grad)
        assert not packs or 0 < sum(seen) < tokens / 2
        results.append({"loss": loss} | {name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert results[0].keys() == results[1].keys()
    for name, value in results[0].items():
        torch.testing.assert_close(value, results[1][name], rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("name", ["colour", "choice", "tags", "where", "find"])
def test_predictions_are_those_of_a_whole_last_layer(data, encoder, tmp_path, name, monkeypatch):
    job = spec(name, epochs=1, pooling="cls")
    finetune(job, encoder, inputs(data, name), tmp_path / "m", tmp_path / "s")
    headed = predict._Headed(prediction(TASKS[name] | {"name": name}, SETTINGS, pooling="cls"), tmp_path / "m")
    examples = rows(name, 30, 3)
    if name == "tags":
        examples[0] |= {"tokens": [], "tags": []}  # a sentence of no words reads nothing
    seen = seen_by(headed.encoder.model.encoder.layer[-1].output)
    predictions = headed(examples)
    monkeypatch.setattr(predict, "positions_needed", lambda *_: None)
    whole = headed(examples)
    assert (seen[0] < seen[1]) == (name != "where")
    if name == "find":
        torch.testing.assert_close(predictions, whole, rtol=0, atol=1e-6)
    else:
        assert predictions == whole
