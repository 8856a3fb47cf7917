"""Adapters: peft's own mathematics in our engine, small files that plain peft reads, exact reruns, bad input."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import peft
import pytest
import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoModel

from intermezzo.config import parse
from intermezzo.core.artifacts import sha256
from intermezzo.core.errors import UserError
from intermezzo.dag.encoder_size import Shape, adapter_parameters
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.preflight import check
from intermezzo.dag.requests import Requests
from intermezzo.execution import weight_leases
from intermezzo.modeling import adapters
from intermezzo.modeling import encoder as encoders
from intermezzo.modeling import folder as folders
from intermezzo.modeling.packing import pack
from intermezzo.planning.amounts import Amounts
from intermezzo.planning.costs import Costs
from intermezzo.planning.jobs import jobs_of
from intermezzo.planning.rates import Rates
from intermezzo.report.export import export
from intermezzo.specs.adapters import AdapterSpec
from intermezzo.training import states
from intermezzo.training.finetune import finetune
from intermezzo.training.loop import _optimizer
from specifications import training
from toy_training import inputs, spec

IDS = [[0, 5, 6, 7, 2], [0, 8, 9, 10, 11, 12, 2], [0, 8, 2]]
LORA, IA3 = AdapterSpec(kind="lora", rank=4), AdapterSpec(kind="ia3")
PEFT = {
    "lora": peft.LoraConfig(r=4, lora_alpha=16, target_modules=["query", "value"]),
    "ia3": peft.IA3Config(target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"]),
}


def drawn(model: nn.Module) -> dict[str, torch.Tensor]:
    """Give the adapter of a model other weights than it starts from; its parameters by peft's names."""
    own = {name: p for name, p in model.named_parameters() if p.requires_grad}
    generator = torch.Generator().manual_seed(3)
    for _, parameter in sorted(own.items()):
        parameter.data = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype) + 0.5
    return own


def read(folder: Path, **how) -> list[torch.Tensor]:
    """States of the model in a folder."""
    with torch.no_grad():
        return states_of(encoders.load_encoder(folder, **how))


def read_plainly(model: nn.Module) -> list[torch.Tensor]:
    """States of transformers' or peft's model."""
    with torch.no_grad():
        return padded(model)


def assert_equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> None:
    for mine, row in zip(first, second, strict=True):
        torch.testing.assert_close(mine, row, rtol=0, atol=1e-5)


def states_of(encoder: encoders.Encoder) -> list[torch.Tensor]:
    """States of each of the sentences, which are packed longest or shortest first."""
    encoder.eval()
    batch = pack(IDS, [[0] * len(ids) for ids in IDS])
    rows = encoder(batch)
    return [rows[start : start + len(ids)] for start, ids in zip(batch.begins, IDS, strict=True)]


def padded(model: nn.Module) -> list[torch.Tensor]:
    """The same by transformers' own code on a padded batch."""
    model.eval()
    longest = max(map(len, IDS))
    tokens = torch.tensor([ids + [1] * (longest - len(ids)) for ids in IDS])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in IDS])
    rows = model(input_ids=tokens, attention_mask=mask).last_hidden_state
    return [row[: len(ids)] for row, ids in zip(rows, IDS, strict=True)]


@pytest.mark.parametrize("adapter", [LORA, IA3], ids=["lora", "ia3"])
def test_outputs_and_gradients_are_those_of_peft_on_padded_batches(encoder, adapter):
    ours = encoders.load_encoder(encoder)
    adapters.add(ours.model, adapter)
    theirs = peft.get_peft_model(AutoModel.from_pretrained(encoder, attn_implementation="eager"), PEFT[adapter.kind])
    results = []
    for system, model, compute in ((ours, ours.model, states_of), (theirs, theirs.base_model.model, padded)):
        parameters = drawn(system.double() and model)
        rows = compute(system)
        sum(row.pow(3).sum() for row in rows).backward()
        results.append((rows, {name: p.grad for name, p in parameters.items()}))
    for mine, expected in zip(results[0][0], results[1][0], strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-10)
    assert results[0][1].keys() == results[1][1].keys() and len(results[0][1]) == {"lora": 4, "ia3": 4}[adapter.kind]
    for name, gradient in results[1][1].items():
        assert gradient.abs().max() > 1e-4
        torch.testing.assert_close(results[0][1][name], gradient, rtol=1e-9, atol=1e-10, msg=name)


# -- model folders -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain(data, encoder, tmp_path_factory):
    """chain(kind) -> folder of: an intermediate with an adapter, targets with one on it, merged and stacked."""
    made: dict[str, Path] = {}

    def make(adapter: AdapterSpec) -> Path:
        if adapter.kind not in made:
            made[adapter.kind] = place = tmp_path_factory.mktemp(adapter.kind)
            job = spec("tags", "text", epochs=1, adapter=adapter).replace(phase="intermediate")
            finetune(job, encoder, inputs(data, "tags", "text"), place / "intermediate", place / "s")
            for start in ("merged", "stacked"):
                job = spec("colour", epochs=1, dropout=0.0, adapter=adapter.replace(start=start))
                finetune(job, place / "intermediate", inputs(data, "colour"), place / start, place / "s")
        return made[adapter.kind]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [LORA, IA3], ids=["lora", "ia3"])
def test_merged_equals_stacked_and_plain_peft(chain, encoder, adapter):
    """Trained on weights with the first adapter in them or beside them; read the one way and the other."""
    place = chain(adapter)
    ways = [(start, stacked) for start in ("merged", "stacked") for stacked in (False, True)]
    expected, *others = [read(place / start, stacked=stacked) for start, stacked in ways]
    plain = AutoModel.from_pretrained(encoder)
    for name in ("intermediate", "merged"):
        plain = peft.PeftModel.from_pretrained(plain, place / name)
        plain = plain if name == "merged" else plain.merge_and_unload()
    for other in (*others, read_plainly(plain)):
        assert_equal(other, expected)
    before, untouched = read(place / "intermediate"), read(encoder)
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(before, expected, strict=True))
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(before, untouched, strict=True))


def test_a_folder_has_the_adapter_and_the_head_and_names_the_weights_below(chain, encoder):
    folder = chain(LORA) / "merged"
    with safe_open(folder / "adapter_model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).numel() for name in weights.keys()} == {16 * 4}  # noqa: SIM118
    below = folders.read_manifest(folder.with_name("intermediate"))["weights_sha256"]
    digests = (sha256(folder / "adapter_model.safetensors"), below)
    assert all(digest in (folder / "model.safetensors").read_text() for digest in digests)
    assert below == folders.read_manifest(folder)["from_sha256"]
    with pytest.raises(Exception, match="header"):
        AutoModel.from_pretrained(folder)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors") if path.name != "heads.safetensors")
    assert size < (encoder / "model.safetensors").stat().st_size / 4
    assert folders.read_manifest(folder)["made_with"]["peft"] == peft.__version__
    with safe_open(folder / "heads.safetensors", "pt") as heads:
        assert {name.partition(".")[0] for name in heads.keys()} == {"colour"}  # noqa: SIM118


def test_all_weights_are_trained_from_an_adapter_that_is_merged(chain, data, encoder, tmp_path):
    start = chain(LORA) / "intermediate"
    job = spec("colour", epochs=1, learning_rate=1e-30, weight_decay=0.0, dropout=0.0)
    finetune(job, start, inputs(data, "colour"), tmp_path / "m", tmp_path / "s")
    assert not folders.has_adapter(tmp_path / "m")
    assert_equal(read_plainly(AutoModel.from_pretrained(tmp_path / "m")), read(start))


def test_an_exported_model_has_the_adapter_in_its_weights(chain, tmp_path):
    folder = chain(LORA) / "stacked"
    export(folder, tmp_path / "out")
    assert_equal(read_plainly(AutoModel.from_pretrained(tmp_path / "out")), read(folder))
    folders.check(tmp_path / "out", *folders.read_manifest(tmp_path / "out")["files"])
    assert not folders.has_adapter(tmp_path / "out")


def test_weights_below_that_are_gone_or_others_are_one_message(chain, tmp_path, monkeypatch):
    import shutil

    place = tmp_path / "moved"
    shutil.copytree(chain(LORA), place)
    read = folders.read_manifest
    monkeypatch.setattr(folders, "read_manifest", lambda folder: read(folder) | {"weights_sha256": "0" * 64})
    with pytest.raises(UserError, match=r"it is an adapter for the weights of .*intermediate \(sha256 .*not there"):
        encoders.load_encoder(place / "merged")
    monkeypatch.undo()
    (place / "merged" / "adapter_model.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"adapter_model.safetensors: damaged"):
        encoders.load_encoder(place / "merged")


# -- training ------------------------------------------------------------------------------------------------------


def bytes_of(folder: Path) -> list[bytes]:
    names = ("adapter_model.safetensors", "adapter_config.json", "heads.safetensors", "manifest.json")
    return [(folder / name).read_bytes() for name in names]


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_bytes_from_a_state_without_frozen_weights(
    data, encoder, tmp_path, monkeypatch
):
    job, paths = spec("colour", epochs=1, adapter=LORA.replace(dropout=0.2)), inputs(data, "colour")
    finetune(job, encoder, paths, tmp_path / "whole", tmp_path / "s")
    monkeypatch.setattr(states, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(states, "SAVE_SHARE", float("inf"))
    save, steps = states.State.save, []

    def save_and_die(state, step, progress):
        save(state, step, progress)
        steps.append(step)
        if step == 3 == len(steps):
            raise KeyboardInterrupt

    monkeypatch.setattr(states.State, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        finetune(job, encoder, paths, tmp_path / "killed", tmp_path / "s")
    (state,) = (tmp_path / "s").glob("*.pt")
    names = torch.load(state, weights_only=True)["modules"].keys()
    assert {name.partition(".")[0] for name in names} == {"encoder", "heads"}
    assert all("lora_" in name for name in names if name.startswith("encoder"))
    finetune(job, encoder, paths, tmp_path / "killed", tmp_path / "s")
    assert steps[3] == 4 and bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")


def test_the_vocabulary_may_be_restricted_or_not(data, encoder, tmp_path):
    for restricted in (True, False):
        job = spec("colour", epochs=1, restrict_vocabulary=restricted, adapter=LORA)
        finetune(job, encoder, inputs(data, "colour"), tmp_path / str(restricted), tmp_path / "s")
    assert bytes_of(tmp_path / "True")[:3] == bytes_of(tmp_path / "False")[:3]


def test_weight_decay_leaves_scales_alone(encoder):
    system = nn.ModuleDict({"encoder": encoders.load_encoder(encoder), "head": nn.Linear(16, 2)})
    adapters.add(system["encoder"].model, IA3)
    decayed, others = _optimizer(system, training(weight_decay=0.5)).param_groups
    assert [p.shape for p in decayed["params"]] == [(2, 16)] and decayed["weight_decay"] == 0.5
    assert len(others["params"]) == 5 and others["weight_decay"] == 0


def test_modules_of_every_way_to_name_them(encoder):
    model = encoders.load_encoder(encoder).model
    names = [*adapters.linear_modules(model)]
    layer = "encoder.layer.0."
    for modules, expected in (
        (None, ["attention.self.query", "attention.self.value"]),
        (("dense",), ["attention.output.dense", "intermediate.dense", "output.dense"]),
        ((f"{layer}output.dense",), ["output.dense"]),
        ("all", [name.removeprefix(layer) for name in names]),
    ):
        chosen = adapters._chosen("xlm-roberta", names, LORA.replace(modules=modules))
        assert chosen == [layer + name for name in expected]
    assert len(names) == 6
    with pytest.raises(UserError, match=r"no linear layer 'querry'; did you mean 'query'\? allowed: attention.out"):
        adapters.add(model, LORA.replace(modules=("querry",)))
    with pytest.raises(UserError, match="peft names none for encoders of type 'modern'; name some"):
        adapters._chosen("modern", names, IA3)
    adapters.add(model, LORA)
    assert [*adapters.linear_modules(model)] == names
    with pytest.raises(UserError, match="the adapter of the model to start from is lora and this one ia3"):
        adapters.add(model, IA3)


# -- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        ({"kind": "bitfit"}, "training.target.adapter.kind: allowed: 'lora' or 'ia3'; found 'bitfit'"),
        ({"rank": 0}, "training.target.adapter.rank: must be greater than or equal to 1; found 0"),
        ({"alpha": 0}, "training.target.adapter.alpha: must be greater than 0"),
        ({"dropout": 1}, "training.target.adapter.dropout: must be less than 1"),
        ({"modules": []}, "training.target.adapter.modules: must have at least 1 item"),
        ({"modules": ["q_proj"]}, "encoder 'world' has no linear layer 'q_proj'; .*query"),
        ({"kind": "ia3", "rank": 4}, "training.target.adapter.rank: an adapter of kind ia3 has none"),
        ({"start": "stacked"}, "start: stacked, but intermediates.nli.training.adapter, .* is ia3 and this one lora"),
    ],
)
def test_bad_settings_are_one_message(adapter, message):
    raw = {
        "training": {"target": {"adapter": adapter}},
        "intermediates": {"nli": {"training": {"adapter": {"kind": "ia3"}}}},
    }
    with pytest.raises(UserError, match=message) as caught:
        parse(raw)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("align", [{"layers": "lower"}, {"layer": 0}])
def test_realignment_of_what_an_adapter_does_not_train_is_refused(align):
    entry = {"align": {"pairs": 10} | align, "training": {"adapter": {}}}
    with pytest.raises(UserError, match=r"intermediates.a.align.layers?: (lower|0), but it trains an adapter"):
        parse({"grid": {"intermediates": ["a"]}, "intermediates": {"a": entry}})


def test_without_peft_the_message_has_the_command(monkeypatch, encoder):
    monkeypatch.setattr("intermezzo.config.checks.adapters.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"target.adapter: adapters need .* pip install 'intermezzo\[adapters\]'"):
        parse({"training": {"target": {"adapter": {}}}})
    assert parse({}).training.target.adapter is None
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"adapters need the package peft.*pip install 'intermezzo\[adapters\]'"):
        adapters.add(encoders.load_encoder(encoder).model, LORA)


WITH_ADAPTERS = {"training": {phase: {"adapter": {}} for phase in ("intermediate", "target")}}


def test_the_plan_knows_how_much_is_trained_kept_and_computed(encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shape = Shape(16, 1, 32, 80)
    for adapter in (LORA, IA3, LORA.replace(modules="all"), LORA.replace(modules=("dense",))):
        model = encoders.load_encoder(encoder).model
        adapters.add(model, adapter)
        config = parse({"training": {"target": {"adapter": adapter.model_dump(exclude_unset=True, mode="json")}}})
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert adapter_parameters(shape, config.training.target.adapter) == trained
    costs, requests = [], []
    for raw in ({}, WITH_ADAPTERS):
        grid = Grid(parse(raw))
        (job,) = (job for job in jobs_of(grid).values() if job.path.endswith("target/world/none/none/seed0/nli"))
        costs.append(Costs(grid, Amounts(grid.config), Rates.read()).cost(job))
        large = Grid(parse(raw | {"encoders": {"world": {"model": {"hidden_size": 1024, "layers": 24}}}}))
        requests.append(Requests(large).memory("target")(job.keys, 1))
    full, small = costs
    assert small.seconds < full.seconds and small.memory_mb < full.memory_mb and small.tokens == full.tokens
    assert small.weights_mb == pytest.approx(4 * 4096 / 1e6) and small.weights_mb < full.weights_mb / 20
    assert requests[1] <= requests[0] - 2000


def test_results_in_a_storage_are_refused():
    check(Grid(parse({}), staged=True))
    with pytest.raises(UserError, match=r"'nli' trains an adapter.*storage"):
        check(Grid(parse({"training": {"target": {"adapter": {}}}}), staged=True))


def test_adapters_stay_and_the_weights_below_are_leased_to_who_reads_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = {"encoder": "world", "intermediate": "nli", "mix": "en", "seed": "0"}
    grid = Grid(parse({"training": {"target": {"adapter": {}}}, "keep": {"intermediate": "none", "target": "none"}}))
    below = Inputs(grid).below_evaluated
    start, target = Path("results/intermediate/world/nli/en/seed0"), Path("results/target/world/nli/en/seed0/pos")
    keys = SimpleNamespace(**run, target="pos")
    assert below(keys) == [f"{start}/manifest.json"]
    assert below(SimpleNamespace(**run, training="pos")) == []
    assert below(SimpleNamespace(**run, target="retrieval")) == []
    assert Inputs(Grid(parse({}))).below_evaluated(keys) == []
    both = Inputs(Grid(parse(WITH_ADAPTERS)))
    assert both.below_evaluated(keys) == [f"{start}/manifest.json", "results/encoders/world/manifest.json"]
    assert both.below_evaluated(SimpleNamespace(**run, target="retrieval")) == ["results/encoders/world/manifest.json"]

    for folder in (start, target):
        folder.mkdir(parents=True)
        (folder / weight_leases.FILE).write_text("weights")
        (folder / "manifest.json").write_text("{}")
    (target / "adapter_config.json").write_text("{}")
    monkeypatch.setattr(weight_leases, "start_of", lambda folder: start)
    reader = SimpleNamespace(
        input={"model": f"{target}/manifest.json"}, output=["results/eval/a/manifest.json"], wildcards=keys
    )
    weight_leases.lease([reader], {"intermediate", "target"}, lambda job: below(job.wildcards))
    weight_leases.release(start, target)  # trained from it
    assert (start / weight_leases.FILE).is_file()
    weight_leases.release(target, Path("results/eval/a"))
    assert not (start / weight_leases.FILE).exists() and (target / weight_leases.FILE).is_file()
