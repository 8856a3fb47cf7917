"""Encoders from elsewhere: every type computes what transformers computes; what is none is refused in one message."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

from intermezzo.cli.main import main
from intermezzo.config import lengths, load
from intermezzo.config.sections.encoders import ImportedEncoder
from intermezzo.core.artifacts import read_json
from intermezzo.core.errors import UserError
from intermezzo.dag.encoder_size import Shape, shape_of
from intermezzo.modeling import architectures
from intermezzo.modeling.checks import check_text
from intermezzo.modeling.encoder import Encoder, load_encoder
from intermezzo.modeling.heads import format_module
from intermezzo.modeling.importing import import_encoder
from intermezzo.modeling.packing import near, pack
from intermezzo.modeling.pooling import pool
from intermezzo.modeling.tokenizer import encode_words, load_tokenizer, mask_token
from intermezzo.specs.importing import ImportSpec
from intermezzo.tasks.formats import table
from intermezzo.training.finetune import finetune
from specifications import SETTINGS, encoding, head_spec
from toy_training import inputs, spec

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "encoders.py"
PACKED = ("bert", "xlm-roberta", "modernbert", "eurobert", "nomic_bert", "gte", "deberta-v2", "roberta", "electra")
EXAMINED = (
    "modernbert", "eurobert", "deberta-v2", "nomic_bert", "xlm", "rembert", "electra", "distilbert", "longformer",
    "nystromformer", "big_bird",
)  # fmt: skip
HEADS = (
    "electra", "albert", "rembert", "mobilebert", "modernbert", "eurobert", "distilbert", "deberta-v2", "xlm",
    "longformer", "roberta", "bert", "xlm-roberta",
)  # fmt: skip
LENGTHS = [7, 3, 7, 40, 3, 1, 25]


def first(kinds: tuple[str, ...], *fast: str) -> list:
    """The kinds; all but the `fast` ones are tested with the slow tests."""
    return [kind if kind in fast else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]


@pytest.fixture(scope="module")
def survey():
    """benchmarks/encoders.py as a module."""
    spec = importlib.util.spec_from_file_location("survey_of_encoders", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(survey, tmp_path_factory):
    """folder(type) -> a model folder of that type with random weights, not imported yet."""
    root, folders = tmp_path_factory.mktemp("encoders"), {}

    def make(kind: str) -> Path:
        if kind not in folders:
            (architecture,) = (a for a in survey.ARCHITECTURES if a.type == kind)
            survey.tiny_model(architecture, root / kind)
            folders[kind] = root / kind
        return folders[kind]

    return make


def copy(source: Path, target: Path, *, without: str = "") -> Path:
    """A copy of a folder; `without` a file."""
    shutil.copytree(source, target)
    if without:
        (target / without).unlink()
    return target


def take(source: Path, out: Path, **options) -> Path:
    import_encoder(ImportSpec(source=str(source), revision=None), out, **options)
    return out


# -- every type ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", EXAMINED)
def test_an_encoder_imports_trains_and_computes_what_transformers_computes(survey, tmp_path, kind):
    (architecture,) = (a for a in survey.ARCHITECTURES if a.type == kind)
    result = survey.examine(architecture, tmp_path)
    assert [result[key] for key in ("imports", *survey.TRAINED, "retrieval", "equal")] == ["yes"] * 7
    assert bool(result["packed"]) == (kind in architectures.PACKED)


@pytest.mark.parametrize("kind", first(PACKED, "modernbert"))
@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_packed_states_and_gradients_equal_transformers_padded_ones(folder, kind, precision, tolerance):
    """Sequences shorter and longer than a local layer's window. EuroBERT's norms are always in float32."""
    packed, padded = (AutoModel.from_pretrained(folder(kind), dtype=precision) for _ in range(2))
    padded.set_attn_implementation("sdpa" if kind == "modernbert" else "eager")  # its eager softmax is in float32
    with torch.no_grad():  # gradients about as large as states, so that one tolerance serves both
        for model in (packed, padded):
            for name, weight in model.named_parameters():
                if weight.ndim > 1 and "emb" not in name:
                    weight.mul_(0.5)
    encoder, size = Encoder(packed), padded.config.vocab_size
    assert encoder.packs
    sequences = [[5 + (i * 7 + j * 3) % (size - 5) for j in range(n)] for i, n in enumerate(LENGTHS)]
    types = [[int(encoder.typed and j > n // 2) for j in range(n)] for n in LENGTHS]
    batch = pack(sequences, types)
    inputs = {"input_ids": batch.padded(batch.tokens).masked_fill(~batch.mask, encoder.padding)}
    if encoder.typed:
        inputs["token_type_ids"] = batch.padded(batch.types) * batch.mask
    expected = padded(**inputs, attention_mask=batch.mask.long(), output_hidden_states=True)
    states = encoder(batch)
    scale = states.detach().std()
    if kind == "eurobert" and precision == torch.float64:
        tolerance = 1e-5
    for layer in (0, 1, 2, 3, None):
        ours = states if layer is None else encoder(batch, layer)
        theirs = expected.last_hidden_state if layer is None else expected.hidden_states[layer]
        torch.testing.assert_close(
            batch.padded(ours)[batch.mask] / scale, theirs[batch.mask] / scale, rtol=0, atol=tolerance
        )
    read = torch.tensor([0, 1, 5, 30, 85])
    torch.testing.assert_close(encoder(batch, rows=read)[read] / scale, states[read] / scale, rtol=0, atol=tolerance)
    pool(encoder(batch), batch, "cls_mean_max").sin().mean().backward()
    flat = torch.empty_like(states).index_copy(0, batch.cells[batch.mask], expected.last_hidden_state[batch.mask])
    pool(flat, batch, "cls_mean_max").sin().mean().backward()
    gradients = dict(padded.named_parameters())
    compared = 0
    for name, parameter in packed.named_parameters():
        if parameter.grad is not None and gradients[name].grad is not None:
            torch.testing.assert_close(parameter.grad, gradients[name].grad, rtol=0, atol=tolerance, msg=name)
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("kind", first(("modernbert", "eurobert", "nomic_bert", "deberta-v2"), "modernbert"))
def test_packed_training_is_the_same_with_and_without_our_kernels(folder, kind, monkeypatch):
    results = []
    for plain in ("0", "1"):
        monkeypatch.setenv("INTERMEZZO_PLAIN_KERNELS", plain)
        encoder = Encoder(AutoModel.from_pretrained(folder(kind), dtype=torch.float32)).train()
        batch = pack([[7] * n for n in LENGTHS], [[0] * n for n in LENGTHS])
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        states = encoder(batch)
        states.sin().mean().backward()
        results.append((states, encoder.model.get_input_embeddings().weight.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_near_is_a_band():
    assert near(4, 1, torch.device("cpu")).int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize("kind", first(("modernbert", "distilbert", "xlm", "eurobert", "bert"), "distilbert"))
def test_dropout_is_set_by_the_names_that_a_configuration_has(folder, tmp_path, kind):
    model = take(folder(kind), tmp_path / "model")
    batch = pack([[7, 8, 9, 10]], [[0] * 4])
    silent, noisy = (load_encoder(model, dropout=rate).train() for rate in (0.0, 0.5))
    assert torch.equal(silent(batch), silent(batch)) and not torch.equal(noisy(batch), noisy(batch))
    assert torch.equal(silent.eval()(batch), noisy.eval()(batch))
    unchanged = load_encoder(model)
    assert unchanged.config.to_dict() == AutoConfig.from_pretrained(model).to_dict() | {
        key: value for key, value in unchanged.config.to_dict().items() if key == "dtype"
    }


@pytest.mark.parametrize("kind", first(HEADS, "rembert", "modernbert"))
def test_the_head_of_masked_text_is_the_pretrained_one(folder, tmp_path, kind):
    """Its logits are those of transformers' masked language model; its gradient reaches the encoder's embeddings."""
    source = take(folder(kind), tmp_path / "model")
    encoder = load_encoder(source).eval()
    head = format_module("mlm").Head(encoder.hidden_size, head_spec({}, SETTINGS))
    head.attach(encoder, source)
    rows = [{"id": "a", "text": "the red cat sees a dog", "text_pair": None}]
    features = format_module("mlm").encode(rows, load_tokenizer(source), encoding({}, SETTINGS))
    torch.manual_seed(1)
    (feature,) = head.corrupt(features)
    batch = pack(feature.sequences, feature.types)
    loss = head.loss(head(encoder(batch), batch), [feature])
    whole = AutoModelForMaskedLM.from_pretrained(source).eval()
    ids = torch.tensor([list(feature.sequences[0])])
    logits = whole(ids, attention_mask=torch.ones_like(ids)).logits[0]
    places, gold = torch.tensor(feature.target).T
    expected = torch.nn.functional.cross_entropy(logits[places], gold)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
    loss.backward()
    assert encoder.model.get_input_embeddings().weight.grad.abs().sum() > 0
    assert all(parameter.grad is not None for name, parameter in head.named_parameters() if "contact" not in name)
    names = {id(parameter) for parameter in encoder.parameters()}
    assert not [name for name, parameter in head.named_parameters() if id(parameter) in names]


@pytest.mark.parametrize("kind", first(("convbert", "nystromformer", "yoso", "mra"), "yoso"))
def test_types_that_see_padding_compute_sentences_of_one_length_together_and_say_so(folder, tmp_path, kind, caplog):
    model = take(folder(kind), tmp_path / "model")
    with caplog.at_level(logging.INFO, logger="intermezzo"):
        encoder = load_encoder(model).eval()
    assert [kind in record.message and "padding" in record.message for record in caplog.records] == [True]
    sequences = [[7 + i] * n for i, n in enumerate([9, 2, 9, 5])]
    batch = pack(sequences, [[0] * len(ids) for ids in sequences])
    with torch.inference_mode():
        states = encoder(batch)
        for start, ids in zip(batch.begins, sequences, strict=True):
            alone = encoder.model(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).last_hidden_state[0]
            torch.testing.assert_close(states[start : start + len(ids)], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["fnet", "canine"])
def test_types_that_cannot_be_computed_rightly_are_refused_by_name(folder, tmp_path, kind):
    with pytest.raises(UserError, match=f"encoder from .*: a model of type '{kind}' .*take an encoder of another type"):
        take(folder(kind), tmp_path / "model")
    assert not (tmp_path / "model" / "manifest.json").exists()


def test_a_type_nobody_thought_of_is_refused_when_its_states_depend_on_the_batch(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(architectures, "REFUSED", {})
    with pytest.raises(UserError, match="states of a sentence depend on the other sentences of its batch"):
        take(folder("fnet"), tmp_path / "model")


# -- inputs that are too long ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "longest"),
    [("bert", 66), ("xlm-roberta", 66), ("roberta", 66), ("camembert", 66), ("mpnet", 66), ("xmod", 66), ("ibert", 66),
     ("xlm-roberta-xl", 66), ("longformer", 66), ("albert", 66), ("electra", 66), ("rembert", 66), ("ernie", 66),
     ("convbert", 66), ("distilbert", 66), ("xlm", 66), ("nystromformer", 66), ("yoso", 66), ("roformer", 66),
     ("modernbert", 66), ("eurobert", 66), ("nomic_bert", 66), ("deberta-v2", None), ("esm", 68)],
)  # fmt: skip
def test_the_longest_input_of_each_type_is_known_and_read(folder, kind, longest):
    model = AutoModel.from_pretrained(folder(kind)).eval()
    assert architectures.longest_input(model) == longest
    expected = lengths.longest_input(ImportedEncoder(from_=str(folder(kind))))
    assert expected == (
        None if kind == "esm" else longest
    )  # without transformers: what the configuration's check knows
    length = longest or 150
    with torch.inference_mode():
        states = Encoder(model)(pack([[7] * length, [8] * 3], [[0] * length, [0] * 3]))
    assert len(states) == length + 3 and torch.isfinite(states).all()


@pytest.mark.parametrize("kind", first(("roberta", "albert", "modernbert", "xlm"), "albert"))
def test_too_long_inputs_are_one_message_at_the_import_and_before_a_training(folder, tmp_path, kind):
    with pytest.raises(UserError, match=r"max_length 67: the encoder in '.*' reads at most 66 tokens; set training's"):
        take(folder(kind), tmp_path / "model", max_length=67)
    assert not (tmp_path / "model").exists()
    model = take(folder(kind), tmp_path / "model", max_length=66)
    with pytest.raises(UserError, match=r"max_length 67: the encoder in .* reads at most 66 tokens"):
        load_encoder(model, max_length=67)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deberta", "xmod"])
def test_types_that_autocast_breaks_compute_in_full_precision(folder, kind):
    encoder = Encoder(AutoModel.from_pretrained(folder(kind))).eval()
    batch = pack([[7] * 9, [8] * 4], [[0] * 9, [0] * 4])
    with torch.autocast("cpu", torch.bfloat16):
        states = encoder(batch)
    assert states.dtype == torch.float32 and torch.equal(states, encoder(batch))


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        ({"model_type": "distilbert", "dim": 8, "n_layers": 2, "hidden_dim": 16, "vocab_size": 99}, (8, 2, 16, 99)),
        ({"model_type": "xlm", "emb_dim": 8, "n_layers": 2, "n_words": 99}, (8, 2, 32, 99)),
        (
            {"model_type": "modernbert", "hidden_size": 8, "num_hidden_layers": 2, "intermediate_size": 12}
            | {"vocab_size": 9},
            (8, 2, 18, 9),
        ),
    ],
)
def test_a_plan_knows_the_size_of_every_type(tmp_path, content, shape):
    (tmp_path / "config.json").write_text(json.dumps(content))
    config = load({"encoders": {"other": {"from": str(tmp_path)}}})
    assert shape_of(config, "other", {}) == (Shape(*shape), str(tmp_path / "config.json"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "new", "hidden_size": 8}))
    with pytest.raises(UserError, match=r"config.json: no num_hidden_layers or n_layers, which"):
        shape_of(config, "other", {})


# -- tokenizers ------------------------------------------------------------------------------------------------------


def bytes_tokenizer(*, split: bool) -> Tokenizer:
    """A byte-level BPE whose pieces are words with their space; with `split`, as newer models part texts first."""
    tokenizer = Tokenizer(models.BPE())
    inner = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split)
    pattern = pre_tokenizers.Split(Regex(" ?[^ ]+"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pattern, inner]) if split else inner
    return tokenizer


def gemma_tokenizer() -> Tokenizer:
    """Spaces become part of pieces, and none is put before a text: Gemma's tokenizer, which mmBERT has."""
    vocabulary = {
        piece: i for i, piece in enumerate(["<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz", "▁d", "▁do", "▁dog"])
    }
    merges = [("▁", "d"), ("▁d", "o"), ("▁do", "g")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Replace("▁", " ")
    return tokenizer


@pytest.mark.parametrize("kind", ["bytes", "split bytes", "gemma"])
def test_given_words_are_read_with_the_space_that_running_text_has(kind):
    tokenizer = gemma_tokenizer() if kind == "gemma" else bytes_tokenizer(split=kind != "bytes")
    if kind != "gemma":
        from tokenizers.trainers import BpeTrainer

        alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.train_from_iterator(
            ["the dog sleeps, the dog doesn't"] * 9, BpeTrainer(initial_alphabet=alphabet, show_progress=False)
        )
    text = tokenizer.encode(" the dog doesn't sleep", add_special_tokens=False)
    (words,) = encode_words(tokenizer, [["the", "dog", "doesn't", "sleep"]])
    assert words.tokens == text.tokens
    assert sorted({*words.word_ids}) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_tokenizers_that_mark_words_by_themselves_read_given_words_as_before(folder, kind):
    tokenizer = load_tokenizer(folder(kind))
    sentence = ["the", "dog", "sees", "nobody"]
    (words,) = encode_words(tokenizer, [sentence])
    assert words.ids == tokenizer.encode(sentence, is_pretokenized=True).ids == tokenizer.encode(" ".join(sentence)).ids


def test_tags_of_words_and_their_spaces_agree(folder):
    tokenizer = load_tokenizer(folder("modernbert"))
    row = {"id": "a", "tokens": ["the", "dog", "", "\u200b", "sees"], "tags": ["A", "B", "A", "B", "A"]}
    (feature,) = format_module("tagging").encode([row], tokenizer, encoding({"labels": ["A", "B"]}, SETTINGS))
    assert [tag for _, tag in feature.target] == [0, 1, 0, 1, 0]
    pieces = [tokenizer.id_to_token(feature.sequences[0][place]) for place, _ in feature.target]
    assert pieces[1].startswith("Ġ") and all(piece.startswith("Ġ") for piece in pieces)


@pytest.mark.parametrize("written", ["<|mask|>", {"__type": "AddedToken", "content": "<|mask|>", "lstrip": True}])
def test_the_mask_token_is_the_one_that_the_tokenizers_files_name(folder, tmp_path, written):
    source = copy(folder("eurobert"), tmp_path / "source")
    settings = json.loads((source / "tokenizer_config.json").read_text())
    (source / "tokenizer_config.json").write_text(json.dumps(settings | {"mask_token": written}))
    assert mask_token(load_tokenizer(source)) == "<|mask|>"
    assert mask_token(load_tokenizer(take(source, tmp_path / "model"))) == "<|mask|>"


def test_a_missing_mask_token_is_one_message(folder, tmp_path):
    source = copy(folder("eurobert"), tmp_path / "source")
    settings = json.loads((source / "tokenizer_config.json").read_text())
    settings.pop("mask_token")
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    rows = [{"id": "a", "text": "the dog", "text_pair": None}]
    with pytest.raises(UserError, match="no mask token, which masked text needs; name it as mask_token in"):
        format_module("mlm").encode(rows, load_tokenizer(source), encoding({}, SETTINGS))


def tokenizer_of_pieces(folder: Path, count: int) -> None:
    """Write a tokenizer of so many pieces that knows no English word."""
    pieces = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[PAD]": 3} | {f"知{i}": i for i in range(4, count)}
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("none", "no tokenizer .tokenizer.json, sentencepiece.bpe.model, vocab.txt or the like.; copy the files"),
        ("empty", "has 4 pieces, and the model 104 rows of word embeddings: it is empty or another model's; put"),
        ("few", "has 60 pieces, and the model 104 rows"),
        ("many", "has 120 pieces, and the model 104 rows of word embeddings, none for piece '知119' .id 119."),
    ],
)
def test_a_tokenizer_that_is_not_the_models_own_is_refused_at_the_import(folder, tmp_path, change, message):
    source = copy(folder("bert"), tmp_path / "source", without="tokenizer.json")
    assert AutoConfig.from_pretrained(source).vocab_size == 104
    if change == "none":
        (source / "tokenizer_config.json").unlink()
    else:
        tokenizer_of_pieces(source, {"empty": 4, "few": 60, "many": 120}[change])
    with pytest.raises(UserError, match=f"encoder from .*{message}"):
        take(source, tmp_path / "model")
    assert not (tmp_path / "model" / "manifest.json").exists()


def test_an_xlm_r_folder_without_tokenizer_is_refused(folder, tmp_path):
    """transformers makes up an empty tokenizer of five pieces for it."""
    source = copy(folder("xlm-roberta"), tmp_path / "source", without="tokenizer.json")
    (source / "tokenizer_config.json").unlink()
    with pytest.raises(UserError, match="no tokenizer"):
        take(source, tmp_path / "model")
    (source / "tokenizer.model").write_bytes(b"")  # a file of that name, which is none
    with pytest.raises(UserError, match="encoder from"):
        take(source, tmp_path / "model")


# -- conversion ------------------------------------------------------------------------------------------------------


def as_pickle(source: Path, target: Path, *, extra: object = None) -> Path:
    """A copy of a folder with pickled weights, as older checkpoints have. extra: something that is no tensor."""
    copy(source, target, without="model.safetensors")
    weights = dict(load_file(source / "model.safetensors"))
    torch.save(weights if extra is None else weights | {"x": extra}, target / "pytorch_model.bin")
    return target


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickled_checkpoint_is_refused_with_the_command_that_converts_it(folder, tmp_path, capsys):
    source = as_pickle(folder("xlm-roberta"), tmp_path / "source")
    with pytest.raises(
        UserError, match=r"no weights in safetensors format, but pytorch_model.bin, .*intermezzo convert"
    ):
        take(source, tmp_path / "model")
    assert main(["convert", str(source), str(tmp_path / "new")]) == 0
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    expected = load_file(take(folder("xlm-roberta"), tmp_path / "expected") / "model.safetensors")
    actual = load_file(take(tmp_path / "new", tmp_path / "model") / "model.safetensors")
    assert expected.keys() == actual.keys() and all(torch.equal(expected[name], actual[name]) for name in expected)
    for arguments, message in (
        ([str(source), str(tmp_path / "new")], "is there already"),
        ([str(tmp_path / "new"), str(tmp_path / "again")], "safetensors already"),
        ([str(tmp_path / "absent"), str(tmp_path / "again")], "no config.json"),
    ):
        assert main(["convert", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_a_pickle_with_code_is_not_opened(folder, tmp_path, capsys):
    source = as_pickle(folder("bert"), tmp_path / "source", extra=Evil(tmp_path / "hacked"))
    assert main(["convert", str(source), str(tmp_path / "new")]) == 2
    assert "hold more than tensors" in capsys.readouterr().err
    assert not (tmp_path / "hacked").exists() and not (tmp_path / "new").exists()


def test_a_sentencepiece_tokenizer_without_tokenizer_json_is_read(folder, tmp_path):
    """As of AfriBERTa and mDeBERTa: transformers builds the fast tokenizer from the model file, with protobuf."""
    import sentencepiece

    source = copy(folder("xlm-roberta"), tmp_path / "source", without="tokenizer.json")
    (source / "tokenizer_config.json").unlink()
    rows = AutoConfig.from_pretrained(source).vocab_size
    (tmp_path / "text").write_text("\n".join(["the red cat sees a dog", "nobody sees the blue bird at all"] * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "spm"), vocab_size=rows - 2, model_type="unigram",
        hard_vocab_limit=False, minloglevel=2, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
    )  # fmt: skip
    shutil.copyfile(tmp_path / "spm.model", source / "sentencepiece.bpe.model")
    model = AutoModelForMaskedLM.from_pretrained(source)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spm.model")).vocab_size()
    model.resize_token_embeddings(pieces + 2)
    model.save_pretrained(source)
    tokens = load_tokenizer(take(source, tmp_path / "model")).encode("the red cat").tokens
    assert tokens[0] == "<s>" and tokens[-1] == "</s>" and "<unk>" not in tokens


# -- the training text -----------------------------------------------------------------------------------------------


def test_a_tokenizer_that_does_not_know_the_text_is_refused_before_training(folder, data, tmp_path):
    """Of the right size, but another model's: import cannot see it, the text of the training does."""
    source = copy(folder("bert"), tmp_path / "source")
    tokenizer_of_pieces(source, AutoConfig.from_pretrained(source).vocab_size)
    model = take(source, tmp_path / "model")
    with pytest.raises(
        UserError, match=r"its tokenizer does not know 100% of the pieces of the training text \(most in"
    ):
        train(model, data, tmp_path / "trained")
    assert not (tmp_path / "trained" / "model.safetensors").exists()


def test_the_share_of_unknown_pieces_is_in_the_manifest(folder, data, tmp_path, caplog):
    """Of a language in a script that the encoder never saw: trained, as that is a finding, and logged."""
    model = take(folder("bert"), tmp_path / "model")
    train(model, data, tmp_path / "trained")
    shares = read_json(tmp_path / "trained" / "manifest.json")["unknown_pieces"]
    assert shares == {"colour/en": 0.0, "colour/xx": 0.0}
    rows = [{"id": "1", "text": "ድመቱ ውሻውን ያያል", "text_pair": None, "label": "red"}]
    paths = {"colour/en": data("colour", "en"), "colour/am": tmp_path / "am.parquet"}
    pq.write_table(table(rows, "classification", ["red"]), paths["colour/am"])
    shares = check_text(model, paths)
    assert shares["colour/am"] == 1.0 and "colour/am: 100 % of the pieces are unknown" in caplog.text
    with pytest.raises(UserError, match="100% of the pieces"):
        check_text(model, {"colour/am": paths["colour/am"]})


def test_tokenizers_that_drop_what_they_do_not_know_count_as_not_knowing_it(folder, data, tmp_path):
    model = copy(folder("bert"), tmp_path / "model")
    tokenizer = Tokenizer(models.BPE({"知": 0, "道": 1}, []))  # without an unknown token
    tokenizer.save(str(model / "tokenizer.json"))
    with pytest.raises(UserError, match="100% of the pieces"):
        check_text(model, {"colour/en": data("colour", "en")})


def train(model: Path, data, out: Path) -> None:
    finetune(spec("colour"), model, inputs(data, "colour"), out, out.parent / "state")
