"""Training only the word embeddings that occur gives what training all of them gives, and the whole matrix is saved."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModel

from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.packing import pack
from intermezzo.modeling.vocabulary import RestrictedEmbedding, restrict
from intermezzo.training import finetune as module
from intermezzo.training.finetune import finetune
from toy_training import inputs, spec

ROWS = "embeddings.word_embeddings.weight"


def test_only_rows_that_occur_are_trained_and_ids_stay_as_they_are(encoder):
    system, whole = load_encoder(encoder, dropout=0.0), load_encoder(encoder, dropout=0.0)
    restore = restrict(system, [0, 2, 9, 7, 7])
    batch = pack([[0, 7, 9, 2], [0, 9, 2]], [[0] * 4, [0] * 3])
    assert torch.equal(system(batch), whole(batch))
    system(batch).sum().backward()
    assert sum(p.numel() for p in system.parameters()) == sum(p.numel() for p in whole.parameters()) - 76 * 16
    with pytest.raises(IndexError):
        system(pack([[0, 8, 2]], [[0] * 3]))
    restore(0.5)
    before, after = (s.model.get_input_embeddings().weight for s in (whole, system))
    used = torch.tensor([0, 2, 7, 9])
    assert torch.equal(after[used], before[used])
    others = torch.ones(80, dtype=torch.bool)
    others[used] = False
    assert torch.equal(after[others], before[others] * 0.5)
    assert type(system.model.get_input_embeddings()) is nn.Embedding and after.requires_grad


@pytest.mark.slow
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("sampling", ["proportional", "in_turn"])
def test_training_is_the_same_with_all_rows_and_with_those_that_occur(data, encoder, tmp_path, decay, sampling):
    paths, states = inputs(data, "colour", "shade"), {}
    for restricted in (True, False):
        job = spec("colour", "shade", weight_decay=decay, dropout=0.0, restrict_vocabulary=restricted)
        folder = tmp_path / str(restricted)
        finetune(job.replace(sampling=sampling), encoder, paths, folder, tmp_path / "s")
        states[restricted] = AutoModel.from_pretrained(folder).state_dict()
    before = load_file(encoder / "model.safetensors")[f"roberta.{ROWS}"]
    assert states[True].keys() == states[False].keys() and states[True][ROWS].shape == before.shape
    untouched = (states[False][ROWS] - before * (states[False][ROWS] / before).median()).abs().amax(1) < 1e-6
    assert 5 < int(untouched.sum()) < 75
    for name, value in states[True].items():
        torch.testing.assert_close(value, states[False][name], rtol=0, atol=1e-6, msg=name)
    if not decay:
        same = (states[True][ROWS] == before).all(1)
        assert torch.equal(same, (states[False][ROWS] == before).all(1)) and int(same.sum()) > 5


def test_a_saved_model_has_the_logits_of_the_trained_one_in_plain_transformers(data, encoder, tmp_path):
    finetune(spec("colour"), encoder, inputs(data, "colour"), tmp_path / "m", tmp_path / "s")
    ours, theirs = load_encoder(tmp_path / "m").eval(), AutoModel.from_pretrained(tmp_path / "m").eval()
    ids = [[0, *range(4, 30), 2], [0, *range(50, 79), 2]]  # rows that training never saw among them
    with torch.inference_mode():
        packed = ours(pack(ids, [[0] * len(s) for s in ids]))
        lengths = sorted(len(s) for s in ids)
        for sequence, states in zip(ids, packed.split(lengths), strict=True):
            expected = theirs(torch.tensor([sequence])).last_hidden_state[0]
            torch.testing.assert_close(states, expected, rtol=0, atol=1e-5)


def test_masked_language_modelling_and_frozen_embeddings_train_with_all_rows(data, encoder, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(module, "restrict", lambda system, used: called.append(used) or restrict(system, used))
    finetune(spec("text"), encoder, inputs(data, "text"), tmp_path / "text", tmp_path / "s")
    assert not called
    finetune(spec("colour", freeze_embeddings=True), encoder, inputs(data, "colour"), tmp_path / "m", tmp_path / "s")
    before = load_file(encoder / "model.safetensors")[f"roberta.{ROWS}"]
    assert torch.equal(load_file(tmp_path / "m" / "model.safetensors")[ROWS], before)
    assert json.loads((tmp_path / "m" / "manifest.json").read_text())["steps"] == 12


def test_a_padding_row_stays_without_gradient():
    full = nn.Embedding(6, 2, padding_idx=1)
    small = RestrictedEmbedding(full, torch.tensor([1, 4]))
    small(torch.tensor([1, 4, 4])).sum().backward()
    assert small.weight.grad.tolist() == [[0, 0], [2, 2]]
