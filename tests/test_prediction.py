"""Predictions through a model folder: every format's interface, the pool of a ranking task, mining."""

import random
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from transformers import XLMRobertaConfig, XLMRobertaModel

from intermezzo.core.artifacts import read_json
from intermezzo.core.errors import UserError
from intermezzo.core.provenance import write_record
from intermezzo.evaluation import predict
from intermezzo.evaluation.predict import predictor
from intermezzo.evaluation.prediction_batches import PredictionBatches, on_host
from intermezzo.modeling import tokens
from intermezzo.modeling.encoder import load_encoder, save_encoder
from intermezzo.modeling.folder import write_manifest
from intermezzo.modeling.heads import Feature, format_module
from intermezzo.modeling.packing import pack
from intermezzo.modeling.tokenizer import load_tokenizer, train_tokenizer
from intermezzo.tasks.formats import table
from specifications import encoding, head_spec, prediction

WORDS = [f"{a}{b}" for a in ("ka", "lo", "mi", "su", "te") for b in ("ra", "no", "pi", "du", "ve")]
SETTINGS = {"max_length": 24, "stride": 8, "dropout": 0.0, "pooling": "mean"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prediction")


@pytest.fixture(scope="module")
def encoder(folder):
    """An untrained encoder of one layer."""
    torch.manual_seed(0)
    drawn, out = random.Random(0), folder / "encoder"
    size = train_tokenizer([" ".join(drawn.choices([*WORDS, "x y"], k=6)) for _ in range(200)], out, vocab_size=100)
    shape = {
        "vocab_size": size, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "pad_token_id": 1,
        "intermediate_size": 64, "max_position_embeddings": 40, "type_vocab_size": 1,
    }  # fmt: skip
    model = XLMRobertaModel(XLMRobertaConfig(**shape), add_pooling_layer=False)
    save_encoder(model, out, out)
    write_manifest(out, {})
    return out


def train(encoder: Path, rows: list[dict], out: Path, given: dict, epochs: int = 30) -> Path:
    """A model folder with a head of the task that has learnt `rows`."""
    torch.manual_seed(0)
    system, module = load_encoder(encoder, dropout=0.0), format_module(given["format"])
    head = module.Head(system.hidden_size, head_spec(given, SETTINGS))
    features = module.encode(rows, load_tokenizer(encoder), encoding(given, SETTINGS))
    optimizer = torch.optim.AdamW([*system.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(epochs):
        order = torch.randperm(len(features)).tolist()
        for at in range(0, len(order), 12):
            chosen = [features[i] for i in order[at : at + 12]]
            batch = pack([s for f in chosen for s in f.sequences], [t for f in chosen for t in f.types])
            head.loss(head(system(batch), batch), chosen).backward()
            optimizer.step()
            optimizer.zero_grad()
    save_encoder(system.model, encoder, out)
    save_file({f"{given['name']}.{key}": value for key, value in head.state_dict().items()}, out / "heads.safetensors")
    write_manifest(out, {})
    return out


def write(path: Path, rows: list[dict], fmt: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(rows, fmt), path)
    return path


def task(fmt: str, **changes) -> dict:
    return {"name": "t", "format": fmt, "labels": [], "partial_input": None, "metrics": []} | changes


# -- ranking ---------------------------------------------------------------------------------------------------------

PAIRS = list(zip(WORDS[:12], WORDS[12:24], strict=True))
"""What a query finds: the text with another word, which only training can say."""
RANKING = prediction(task("ranking"), SETTINGS)


def query(i: int, **changes) -> dict:
    return {"id": f"q{i}", "text": f"{PAIRS[i][0]} {PAIRS[i][0]}", "text_pair": None, "relevant": [f"c{i}"]} | changes


@pytest.fixture(scope="module")
def ranker(encoder, folder):
    rows = [query(i, text_pair=f"{right} {right}", relevant=[]) for i, (_, right) in enumerate(PAIRS)]
    return train(encoder, rows, folder / "ranker", task("ranking"))


@pytest.fixture(scope="module")
def pool(folder):
    """The right text of each query, over two languages, and others before, between and behind them."""
    rows = [
        {"id": f"c{i}", "text": f"{right} {right}", "text_pair": None, "relevant": []}
        for i, (_, right) in enumerate(PAIRS)
    ]
    other = [row | {"id": f"o{i}", "text": f"x{WORDS[i]} y"} for i, row in enumerate(rows)]
    files = {"xx": other[:5] + rows[:5], "en": rows[5:] + other[5:]}
    return {
        language: write(folder / "pool" / f"{language}.parquet", made, "ranking") for language, made in files.items()
    }


def test_ranking_finds_what_it_was_taught_in_the_pool_of_all_languages(ranker, pool):
    rows = [query(i) for i in range(12)]
    found = predictor(RANKING, ranker, pool)(rows, "en")
    assert all(len(ids) == len(set(ids)) == 20 for ids in found)
    assert sum(ids[0] in row["relevant"] for ids, row in zip(found, rows, strict=True)) >= 11


def test_the_pool_is_embedded_once_in_parts_and_comes_out_the_same(ranker, pool, monkeypatch):
    rows = [query(i) for i in range(12)]
    expected = predictor(RANKING, ranker, pool)(rows, "en")
    asked = []
    embed = predict._Headed.__call__
    monkeypatch.setattr(predict._Headed, "__call__", lambda self, given: asked.append(len(given)) or embed(self, given))
    monkeypatch.setattr(format_module("ranking"), "ROWS", 8)
    monkeypatch.setattr("intermezzo.modeling.search.BLOCK", 6)
    ranked = predictor(RANKING, ranker, pool)
    assert ranked(rows[:5], "en") + ranked(rows[5:], "xx") == expected
    assert asked == [8, 2, 8, 6, 5, 7]  # the files of 10 and 14 candidates, then the queries


def test_a_small_pool_is_ranked_as_a_whole(ranker, pool, folder):
    small = write(folder / "small.parquet", pq.read_table(pool["en"]).to_pylist()[:3], "ranking")
    (ids,) = predictor(RANKING, ranker, {"en": small})([query(6, text_pair="what is right is not read")], "en")
    assert sorted(ids) == ["c5", "c6", "c7"] and ids[0] == "c6"


def test_a_pool_without_candidates_or_with_an_id_twice_is_refused(ranker, pool):
    with pytest.raises(UserError, match=r"no candidates.*split 'candidates'"):
        predictor(RANKING, ranker, {})([query(0)], "en")
    with pytest.raises(UserError, match="14 different ids"):
        predictor(RANKING, ranker, {"en": pool["en"], "xx": pool["en"]})([query(0)], "en")


# -- retrieval and mining --------------------------------------------------------------------------------------------

RETRIEVAL, MINING = (prediction(task(name), SETTINGS, layer=0) for name in ("retrieval", "mining"))


def test_retrieval_searches_the_languages_sentences_with_english_ones(encoder):
    """Two English sentences share their best candidate, which tells the direction; of equal candidates the first."""
    texts = ["kara lono", "mipi sudu", "kara lono", "teve teve"]
    english = ["teve teve", "kara lono", "kara lono", "mipi mipi sudu"]
    rows = [{"id": str(i), "text": a, "text_pair": b} for i, (a, b) in enumerate(zip(texts, english, strict=True))]
    for pooling, layer in (("mean", 0), ("mean", 1), ("cls", 1)):
        assert predictor(RETRIEVAL.replace(pooling=pooling, layer=layer), encoder)(rows, "xx") == [3, 0, 0, 1]
    assert predictor(RETRIEVAL.replace(pooling="cls"), encoder)(rows, "xx") == [0, 0, 0, 0]  # <s> alone: all alike


def test_mean_pooling_counts_special_tokens(encoder):
    spec = RETRIEVAL
    sentences = predict._Sentences(spec, encoder)
    ids = sentences.tokens.tokenizer.encode("kara lono").ids
    assert ids[0] == 0 and ids[-1] == 2  # <s> ... </s>
    with torch.inference_mode():
        states = sentences.encoder.model(torch.tensor([ids, ids])[:1], attention_mask=None, runs=((1, len(ids)),))
    torch.testing.assert_close(
        predict._Sentences(spec.replace(layer=1), encoder)(["kara lono"]), states.last_hidden_state.mean(1)
    )


def test_a_prefix_stands_before_every_sentence_whose_vector_is_read(encoder):
    spec, texts = RETRIEVAL.replace(layer=1), ["kara lono", "", "mipi"]
    vectors = predict._Sentences(spec.replace(prefix="teve: "), encoder)(texts)
    assert torch.equal(vectors, predict._Sentences(spec, encoder)([f"teve: {text}" for text in texts]))
    assert not torch.equal(vectors, predict._Sentences(spec, encoder)(texts))
    assert "prefix" not in spec.as_json()  # where none is set, predictions and their cache are those of before


@pytest.mark.parametrize("layer", [2, 14])
def test_a_layer_that_the_encoder_lacks_is_refused(encoder, layer):
    with pytest.raises(UserError, match=f"layer {layer}, but the encoder has 1; allowed: 0"):
        predictor(RETRIEVAL.replace(layer=layer), encoder)


def mining_rows(seed: int, pairs: int = 20, alone: int = 20) -> list[dict]:
    """Foreign sentences whose translations are the same words in another order, and as many without any."""
    drawn = random.Random(seed)
    texts = [drawn.sample(WORDS, 5) for _ in range(pairs + 2 * alone)]
    english = [{"id": f"e{i}", "text": " ".join(words), "side": "english", "pair": None}
               for i, words in enumerate(texts[: pairs + alone])]  # fmt: skip
    foreign = [{"id": f"f{i}", "text": " ".join(reversed(words)), "side": "foreign", "pair": f"e{i}"}
               for i, words in enumerate(texts[:pairs])]  # fmt: skip
    foreign += [{"id": f"f{i}", "text": " ".join(words), "side": "foreign", "pair": None}
                for i, words in enumerate(texts[pairs + alone :], pairs)]  # fmt: skip
    rows = english + foreign
    drawn.shuffle(rows)
    return rows


def test_mining_tunes_its_threshold_on_dev_and_applies_it_to_test(encoder, folder):
    support = {"xx": write(folder / "dev.parquet", mining_rows(1), "mining")}
    rows = mining_rows(2)
    mined = predictor(MINING, encoder, support)(rows, "xx")
    found = {(row["id"], pair) for row, pair in zip(rows, mined, strict=True) if pair is not None}
    gold = {(row["id"], row["pair"]) for row in rows if row["pair"] is not None}
    assert all(pair is None for row, pair in zip(rows, mined, strict=True) if row["side"] == "english")
    assert 2 * len(found & gold) / (len(found) + len(gold)) > 0.9
    strict = [row | {"pair": None} for row in mining_rows(1)]
    support["none"] = write(folder / "none.parquet", strict, "mining")
    assert predictor(MINING, encoder, support)(rows, "none") == [None] * len(rows)  # nothing right on dev: no threshold
    with pytest.raises(UserError, match=r"language 'yy': no dev data.*xx, none"):
        predictor(MINING, encoder, support)(rows, "yy")


# -- heads -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagger(encoder, folder):
    rows = [{"id": str(i), "tokens": [a, b], "tags": ["L", "R"]} for i, (a, b) in enumerate(PAIRS)]
    return train(encoder, rows, folder / "tagger", task("tagging", labels=["L", "R"]))


def test_labels_may_come_from_the_model(tagger, folder):
    spec = prediction(task("tagging", labels="from_data"), SETTINGS)
    model = folder / "labelled"
    shutil.copytree(tagger, model)
    with pytest.raises(UserError, match=r"manifest\.json: damaged \(no labels of task 't'"):
        predictor(spec, model)
    write_record(model / "manifest.json", read_json(model / "manifest.json") | {"labels": {"t": ["L", "R"]}})
    rows = [{"id": "0", "tokens": [WORDS[0], WORDS[20]] * 20, "tags": ["L", "UNSEEN"] * 20}]
    (tags,) = predictor(spec, model)(rows, "en")
    assert len(tags) == 40 and set(tags) <= {"L", "R"}
    assert tags == predictor(prediction(task("tagging", labels=["L", "R"]), SETTINGS), model)(rows, "en")[0]
    assert tags.count("L") == tags[::2].count("L") == 20  # learnt, over several windows


def test_a_model_without_the_tasks_head_is_refused(tagger):
    spec = prediction(task("tagging", labels=["L", "R"], name="other"), SETTINGS)
    with pytest.raises(UserError, match="no head for task 'other'"):
        predictor(spec, tagger)


@pytest.mark.slow
def test_unanswerable_questions_get_no_answer(encoder, folder):
    """The answer is one word wherever it is; contexts without it have none."""
    drawn, rows = random.Random(0), []
    for i in range(160):
        context = " ".join(drawn.sample(WORDS[1:], 4))
        if i % 2:
            context = context.replace(context.split()[drawn.randrange(4)], WORDS[0])
        found = [context.index(WORDS[0])] if i % 2 else []
        rows.append({"id": str(i), "context": context, "question": "y", "answers": [WORDS[0]] * len(found),
                     "answer_starts": found})  # fmt: skip
    model = train(encoder, rows, folder / "reader", task("span", unanswerable=True), epochs=20)
    predicted = predictor(prediction(task("span", unanswerable=True), SETTINGS), model)(rows, "en")
    right = [given == (row["answers"] or [""])[0] for given, row in zip(predicted, rows, strict=True)]
    assert sum(right) > 0.9 * len(rows)
    always = predictor(prediction(task("span"), SETTINGS), model)(rows, "en")
    assert all(always)


# -- batches ---------------------------------------------------------------------------------------------------------


def made_of(*lengths: int) -> list[Feature]:
    return [Feature(i, [[5] * length], [[0] * length]) for i, length in enumerate(lengths)]


def batched(features: list[Feature], tokens_: int, compute=lambda packed, _: packed.lengths) -> list[list[int]]:
    outputs = on_host(PredictionBatches(tokens_).outputs(features, compute))
    found = [([f.row for f in batch], lengths.tolist()) for batch, lengths in outputs]
    assert all([features[i].tokens for i in rows] == lengths for rows, lengths in found)
    return [rows for rows, _ in found]


def test_batches_are_of_similar_length_and_pass_the_number_of_tokens_only_for_one_example():
    features = made_of(5, 2, 9, 2, 5, 30, 3)
    assert batched(features, 10) == [[1, 3, 6], [0, 4], [2], [5]]
    assert batched(features, 1) == [[1], [3], [6], [0], [4], [2], [5]]
    assert batched(features, 99) == [[1, 3, 6, 0, 4, 2, 5]]
    assert batched([], 10) == []
    many = made_of(*[3, 2] * 60)
    assert batched(many, 240) == [[*range(1, 120, 2), *range(0, 80, 2)], [*range(80, 120, 2)]]  # in order, if alike
    assert PredictionBatches({}).tokens == 2048  # on a CPU


def test_a_batch_is_decoded_once_the_next_one_is_under_way():
    told = []
    compute = lambda packed, _: told.append(("computed", len(packed.tokens))) or packed.lengths  # noqa: E731
    for batch, _ in on_host(PredictionBatches(4).outputs(made_of(4, 3, 2), compute)):
        told.append(("decoded", sum(f.tokens for f in batch)))
    assert told == [("computed", 2), ("computed", 3), ("decoded", 2), ("computed", 4), ("decoded", 3), ("decoded", 4)]


def test_out_of_memory_halves_the_batches_and_loses_nothing(caplog):
    def compute(packed, _):
        if len(packed.tokens) > 9:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return packed.lengths

    batches, features = PredictionBatches(32), made_of(5, 2, 9, 2, 5, 3, 8, 4)
    assert sorted(f.row for batch, _ in batches.outputs(features, compute) for f in batch) == list(range(8))
    assert batches.tokens == 5  # 28, 14 of which 11 were used, 5
    assert "batches of at most 5 tokens" in caplog.text
    with pytest.raises(UserError, match="one example of 12 tokens; lower max_length"):
        list(batches.outputs(made_of(3, 12), compute))


def test_precision_is_that_of_training_and_heads_get_float32(tagger):
    spec = prediction(task("tagging", labels=["L", "R"]), SETTINGS)
    rows = [{"id": "0", "tokens": [WORDS[0], WORDS[20]] * 20, "tags": None}]
    states = {}
    for precision in ("auto", "float32", "bfloat16"):
        headed = predict._Headed(spec.replace(precision=precision), tagger)
        assert headed(rows) == [["L", "R"] * 20]
        with torch.inference_mode():
            states[precision] = headed._states(pack([[0, 7, 9, 2]], [[0] * 4]))
    assert all(made.dtype == torch.float32 for made in states.values())
    assert torch.equal(states["auto"], states["float32"])
    difference = (states["bfloat16"] - states["float32"]).abs().max()
    assert 1e-5 < difference < 0.1


def test_predictions_from_stored_tokens_are_the_same(tagger, encoder, folder, monkeypatch):
    monkeypatch.setattr(tokens, "LEAST", 0)
    tagging = prediction(task("tagging", labels=["L", "R"]), SETTINGS)
    words = [{"id": str(i), "tokens": WORDS[i : i + 9] * 3, "tags": None} for i in range(12)]
    pairs = [{"id": str(i), "text": a, "text_pair": f"{b} {a}"} for i, (a, b) in enumerate(PAIRS)]
    for spec, model, rows in ((tagging, tagger, words), (RETRIEVAL.replace(layer=1), encoder, pairs)):
        expected = predictor(spec, model)(rows, "xx")
        for _ in range(2):  # stored, then read
            assert predictor(spec, model, cache=folder / "tokens")(rows, "xx") == expected
    assert len(list((folder / "tokens").rglob("*.arrow"))) == 3  # tagged words, and both sides of the pairs
