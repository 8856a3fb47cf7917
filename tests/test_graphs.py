"""Training by CUDA graphs, without a GPU: `make_graphed_callables` is a stand-in with PyTorch's use of memory.

What can be shown here: batches are filled up to classes without a change of results, buffers that hold an old batch or
an old gradient are never read, random numbers stay what they are, and a failed capture costs a line.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from intermezzo.config import load
from intermezzo.config.settings import resolve
from intermezzo.modeling import graphs
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.graphs import Graphs, filled, use_graphs
from intermezzo.modeling.heads import format_module
from intermezzo.modeling.packing import Packed, pack
from intermezzo.modeling.tokenizer import load_tokenizer
from intermezzo.modeling.vocabulary import restrict
from intermezzo.training.batches import TaskBatches
from intermezzo.training.finetune import finetune
from intermezzo.training.gradient import Gradient
from test_modeling import encoder as random_encoder
from toy_training import SETTINGS, TASKS, inputs, phases, rows, spec, weights

CASES = [(name, {}) for name in ("colour", "choice", "tags", "where", "text", "find")]
CASES += [("colour", {"pooling": "cls"}), ("find", {"pooling": "cls"})]
BATCHES = [range(24), range(3, 9), range(1, 24), range(8), range(2, 24), range(9, 15), range(23), range(16, 24)]


class Recorder:
    """`make_graphed_callables` on a CPU: as in PyTorch's a function has one set of buffers for inputs, states and
    gradients, callers get that very memory, and backward goes with the last forward."""

    def __init__(self, fails: Callable[[int], Exception | None] = lambda number: None) -> None:
        self.captures, self.tries, self.replays, self.fails = [], 0, 0, fails

    def __call__(self, function, static, allow_unused_input=False, pool=None):
        assert torch.is_grad_enabled() and pool == "pool" and all(isinstance(part, torch.Tensor) for part in static)
        assert not (torch.is_autocast_enabled("cpu") and torch.is_autocast_cache_enabled())
        trained = [part for part in static if part.requires_grad]
        for _ in range(3):
            made = function(*static)
            torch.autograd.grad(made, trained, torch.full_like(made, torch.nan), allow_unused=allow_unused_input)
        self.tries += 1
        if error := self.fails(self.tries):
            raise error
        self.captures.append(tuple(len(part) for part in static[:1]))
        output, buffers, record = made.detach().clone(), [torch.empty_like(part) for part in trained], self
        last = {}

        class Replay(torch.autograd.Function):
            @staticmethod
            def forward(ctx, *given):
                for own, new in zip(static, given, strict=True):
                    assert own.shape == new.shape and own.requires_grad == new.requires_grad
                    if own.data_ptr() != new.data_ptr():
                        own.copy_(new)
                with torch.enable_grad():
                    last["made"] = function(*static)
                record.replays += 1
                output.copy_(last["made"].detach())
                return output.detach()

            @staticmethod
            def backward(ctx, gradient):
                found = torch.autograd.grad(last["made"], trained, gradient, allow_unused=allow_unused_input)
                for buffer, value in zip(buffers, found, strict=True):
                    buffer.copy_(torch.zeros_like(buffer) if value is None else value)
                left = iter(buffers)
                return tuple(next(left).detach() if part.requires_grad else None for part in static)

        return Replay.apply


@pytest.fixture
def recorder(monkeypatch) -> Recorder:
    """Graphs for toy batches: small steps between classes, captured at first sight."""
    made = Recorder()
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", made)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    for name, value in {"TOKENS": 64, "SEQUENCES": 8, "LONGEST": 16, "OFTEN": 1}.items():
        monkeypatch.setattr(graphs, name, value)
    return made


def work_of(folder, name: str, *, dropout: float = 0.0, kind=torch.float64, **changes) -> TaskBatches:
    """Batches of toy examples; the same weights for every call."""
    settings = SETTINGS | {"dropout": dropout} | changes
    module, task = format_module(TASKS[name]["format"]), TASKS[name] | {"name": name}
    system = load_encoder(folder, dropout=dropout)
    torch.manual_seed(0)
    head = module.Head(system.hidden_size, task, settings)
    features = module.encode(rows(name, 24, 1), load_tokenizer(folder), task, settings)
    if hasattr(head, "attach"):
        head.attach(system, folder)
    else:
        restrict(system, {token for f in features for part in f.sequences for token in part})
    modules = nn.ModuleDict({"encoder": system, "heads": nn.ModuleDict({name: head})}).to(kind).train()
    return TaskBatches(modules, {name: name}, {name: features}, [(name, chosen) for chosen in BATCHES], {})


def steps(work: TaskBatches, say=None, *, most: int | None = None, **settings) -> list[dict[str, torch.Tensor]]:
    """Loss and gradients of every batch, by graphs where there is a `say` for them; weights move a little at each."""
    if say is not None:
        work.system["encoder"].graphs = made = Graphs(work.system["encoder"], say)
        made.most = made.most if most is None else most
    gradient, found = Gradient(work, {"precision": "float32"} | settings, print), []
    torch.manual_seed(1)
    for step in range(len(BATCHES)):
        loss, _ = gradient(step, work.system.zero_grad)
        own = {name: p.grad.clone() for name, p in work.system.named_parameters() if p.grad is not None}
        found.append({"loss": loss.clone()} | own)
        with torch.no_grad():
            for parameter in work.system.parameters():
                if parameter.grad is not None:
                    parameter -= 0.01 * parameter.grad.sign()
        work.system.zero_grad()
    return found


def assert_same(some: list[dict], others: list[dict], tolerance: float = 1e-12) -> None:
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys() and len(one) > 15
        assert max(float(value.detach().abs().max()) for value in one.values()) > 1e-4
        for name, value in one.items():
            torch.testing.assert_close(value, other[name], rtol=0, atol=tolerance, msg=name)


# -- the same results ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micro_tokens", [None, 70])
@pytest.mark.parametrize(("name", "changes"), CASES)
def test_loss_and_gradient_are_those_of_the_ordinary_way(encoder, recorder, name, changes, micro_tokens):
    ordinary = steps(work_of(encoder, name, **changes), micro_tokens=micro_tokens)
    assert not recorder.tries
    said: list[str] = []
    assert_same(ordinary, steps(work_of(encoder, name, **changes), said.append, micro_tokens=micro_tokens))
    assert not said and recorder.replays >= len(BATCHES)
    assert len(set(recorder.captures)) > 1 or micro_tokens
    assert len(recorder.captures) < recorder.replays


@pytest.mark.parametrize(("name", "micro_tokens"), [("colour", None), ("tags", 70), ("find", 70)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_graph_changes_no_random_number(encoder, recorder, name, micro_tokens, precision):
    """Dropout is that of the same batches without graphs, though capture draws numbers; ranking in parts draws them
    twice. Casts are not kept while a graph is captured (the stand-in refuses it as PyTorch does)."""
    settings, made = {"micro_tokens": micro_tokens, "precision": precision}, []
    for most in (0, 99):
        made.append(steps(work_of(encoder, name, dropout=0.3, kind=torch.float32), print, most=most, **settings))
        assert bool(recorder.tries) == bool(most)
    assert_same(*made)
    assert recorder.replays > 5


@pytest.mark.parametrize("phase", ["pretrain", "intermediate", "target"])
def test_a_training_by_graphs_ends_with_the_same_bytes(data, encoder, recorder, tmp_path, monkeypatch, phase):
    """With clipping, AdamW and dropout, against the same batches without graphs."""
    made = []
    for most in (0, 99):

        def use(system, settings, say, processes, most=most):
            system.graphs = Graphs(system, say)
            system.graphs.most = most

        for module in ("pretrain", "finetune"):
            monkeypatch.setattr(sys.modules[f"intermezzo.training.{module}"], "use_graphs", use)
        out = tmp_path / str(most)
        phases(data, encoder, tmp_path / "state")[phase](out)
        made.append([path.read_bytes() for path in sorted(out.glob("*.safetensors"))])
        assert bool(recorder.replays) == bool(most)
    assert made[0] == made[1] and made[0]


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
@pytest.mark.parametrize(
    "lengths", [[7, 3, 7, 12, 3, 1], [1], [32, 32, 32, 32], [32, 33, 31, 32], [3] * 40, [31] * 8, [2] * 64]
)
def test_a_batch_is_filled_up_to_its_class(kind, lengths):
    drawn = random.Random(0)
    sequences = [[drawn.randrange(5, 150) for _ in range(n)] for n in lengths]
    packed = pack(sequences, [[int(kind == "bert" and at > 2) for at in range(n)] for n in lengths])
    tokens, types, positions, cells, mask = filled(packed)
    total = sum(lengths)
    assert len(tokens) == len(types) == len(positions) == len(cells) == -(-total // 128) * 128
    assert len(mask) % 8 == 0 and len(mask) > len(lengths) and mask.shape[1] == -(-max(lengths) // 32) * 32
    assert torch.equal(tokens[:total], packed.tokens) and set(tokens.tolist()) == set(packed.tokens.tolist())
    assert cells.unique().numel() == len(cells) and int(cells.max()) < mask.numel()
    assert mask.any(1).all() and mask.flatten()[cells].all()
    assert mask[: len(lengths)].sum(1).tolist() == lengths  # no fill token is in a sequence of the batch

    results = []
    for given in (None, print):
        system = random_encoder(kind).train()
        if given:
            system.graphs = Graphs(system, given)
        states = system(packed, None, packed.starts)
        assert len(states) == total
        states = states[packed.starts]
        states.pow(3).sum().backward()
        results.append([{"states": states} | {n: p.grad for n, p in system.named_parameters() if p.grad is not None}])
    assert_same(*results)


# -- which batches get a graph -------------------------------------------------------------------------------------


def batch(count: int, longest: int = 4) -> Packed:
    return pack([[7] * longest] * count, [[0] * longest] * count)


def test_a_class_gets_its_graph_when_it_comes_often_and_there_are_not_many(recorder, monkeypatch):
    monkeypatch.setattr(graphs, "OFTEN", 3)
    system = random_encoder("xlm-roberta").train()
    system.graphs = made = Graphs(system, print)
    made.most = 2
    tries = []
    for count in (10, 11, 20, 12, 10, 21, 21, 21, 33, 33, 33, 33, 10, 20):
        system(batch(count))
        tries.append(recorder.tries)
    assert tries == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]
    assert sorted(made.made) == [(64, 16, 16), (128, 24, 16)] and recorder.replays == 6
    assert made.seen[(192, 40, 16)] == 4


def test_only_training_and_the_last_layer_go_by_graphs(recorder):
    system = random_encoder("xlm-roberta").train()
    system.graphs = Graphs(system, print)
    system(batch(10), layer=1)
    system.eval()(batch(10))
    assert not recorder.tries
    system.train()(batch(10))
    assert recorder.tries == recorder.replays == 1


def test_nothing_that_is_captured_waits_for_a_value(recorder):
    """On tensors without values whatever reads one fails; and nothing comes from the host's memory."""
    system = random_encoder("xlm-roberta")
    restrict(system, range(5, 60))
    system.train().to("meta")
    numbers = [torch.zeros(n, dtype=torch.long, device="meta") for n in (12, 12, 12, 4, 4, 12)]
    made, seen = Graphs(system, print), []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **kwargs or {})
            seen.extend(part.device.type for part in tree_leaves((args, kwargs, result)) if hasattr(part, "device"))
            return result

    given = filled(Packed(*numbers, begins=(0, 3, 6, 9), runs=((4, 3),)))
    with Watch():
        states = system.model(**made._named(given)).last_hidden_state[0]
        torch.autograd.grad(states, list(made.weights.values()), torch.empty_like(states))
    assert len(states) == 64 and len(seen) > 100 and set(seen) == {"meta"}


# -- where there can be none ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("not permitted\nwhen stream is capturing"), torch.OutOfMemoryError()])
@pytest.mark.parametrize("number", [1, 2])
def test_a_failed_capture_costs_a_line_and_the_graphs(encoder, recorder, error, number):
    recorder.fails = lambda tries: error if tries == number else None
    said: list[str] = []
    work = work_of(encoder, "colour", dropout=0.3)
    without = steps(work_of(encoder, "colour", dropout=0.3), print, most=0)
    assert_same(without, steps(work, said.append))
    reason = "not permitted" if type(error) is RuntimeError else "OutOfMemoryError"
    assert said == [f"cuda_graphs: capture failed ({reason}); training goes on without"]
    assert recorder.tries == number and not work.system["encoder"].graphs.made


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
def test_what_a_capture_leaves_of_a_gpus_state(monkeypatch, fails):
    """The stream, then the random state in place, which graphs that were made read; another generator's state, which
    knows of no capture, when it failed. (Names and order alone: there is no GPU.)"""
    done: list[str] = []

    @contextmanager
    def stream(own):
        try:
            yield
        finally:
            done.append(f"stream {own}")

    generator = SimpleNamespace(clone_state=lambda: "clone", graphsafe_set_state=lambda state: done.append(state))
    for name, value in {
        "default_generators": (generator,),
        "current_device": lambda: 0,
        "current_stream": lambda: "own",
        "stream": stream,
        "get_rng_state": lambda device: f"numbers of {device}",
        "set_rng_state": lambda state, device: done.append(state),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    with suppress(RuntimeError), graphs._undone(torch.device("cuda:0")):
        assert torch.is_grad_enabled() and not torch.is_autocast_cache_enabled()
        if fails:
            raise RuntimeError
    assert done == ["stream own", "numbers of cuda:0"] + ["clone"] * fails


def test_an_error_of_the_code_is_not_a_failed_capture(recorder):
    recorder.fails = lambda tries: TypeError("a bug")
    system = random_encoder("xlm-roberta").train()
    system.graphs = Graphs(system, print)
    with pytest.raises(TypeError, match="a bug"):
        system(batch(10))


def pretended(cuda: bool, packs: bool) -> SimpleNamespace:
    model = random_encoder("xlm-roberta").model
    named = {"model": model, "typed": False, "config": model.config, "packs": packs, "graphs": None}
    return SimpleNamespace(**named, parameters=lambda: iter([SimpleNamespace(is_cuda=cuda)]))


@pytest.mark.parametrize(
    ("asked", "cuda", "processes", "packs", "line"),
    [
        (False, True, 1, True, None),
        (True, True, 1, True, None),
        (True, False, 1, True, "there is no GPU here"),
        (True, True, 2, True, "2 processes train together"),
        (True, True, 1, False, "not for models of type 'xlm-roberta'"),
    ],
)
def test_graphs_are_used_where_they_are_asked_for_and_can_be(asked, cuda, processes, packs, line):
    system, said = pretended(cuda, packs), []
    use_graphs(system, {"cuda_graphs": asked}, said.append, processes)
    assert (system.graphs is not None) == (asked and not line)
    assert said == ([f"cuda_graphs: {line}; training goes the ordinary way"] if line else [])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_setting_changes_no_byte(data, encoder, tmp_path, capsys):
    made = []
    for asked in (False, True):
        job = spec("colour", epochs=1, **{"cuda_graphs": True} if asked else {})
        finetune(job, encoder, inputs(data, "colour"), tmp_path / f"m{asked}", tmp_path / "s")
        made.append(weights(tmp_path / f"m{asked}"))
        assert ("cuda_graphs: there is no GPU here" in capsys.readouterr().err) == asked
    assert made[0] == made[1]


def test_a_setting_that_is_off_is_in_no_specification():
    """So that whoever does not use it trains nothing anew because of it."""
    given = {"training": {"target": {"cuda_graphs": True}}, "intermediates": {"pos": {"training": {"epochs": 2}}}}
    config = load(given | {"encoders": {"world": {"training": {"cuda_graphs": True}}}})
    assert resolve(config, "world", "target", "pos", ["pos"])["cuda_graphs"] is True
    assert config.encoders["world"].model_dump()["training"]["cuda_graphs"] is True
    assert "cuda_graphs" not in resolve(config, "world", "intermediate", "pos", ["pos"])
    assert "cuda_graphs" not in load().encoders["world"].model_dump()["training"]
    assert load().training.target.cuda_graphs is False
