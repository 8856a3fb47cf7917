"""Packed computation equals padded computation; formats encode and decode what they should."""

import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

from intermezzo.modeling.encoder import Encoder
from intermezzo.modeling.formats import Feature, format_module
from intermezzo.modeling.packing import pack
from intermezzo.modeling.pooling import pool
from intermezzo.modeling.retrieval import nearest
from intermezzo.modeling.tokenizer import load_tokenizer, normalize, train_tokenizer

TEXTS = [
    "The cat saw a dog in the garden yesterday.",
    "the dogs see no cats , not one",
    "Кошка видит собаку в саду вчера",
    "猫は犬を見た。",
    "แมวเห็นหมา ในสวน",
    "القط رأى الكلب",
] * 30
SETTINGS = {"max_length": 24, "stride": 8, "pooling": "cls_mean_max", "dropout": 0.0}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, folder, vocab_size=160)
    return load_tokenizer(folder)


def encoder(kind: str) -> Encoder:
    torch.manual_seed(0)
    shape = {
        "vocab_size": 160, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 40, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0, "pad_token_id": 1,
    }  # fmt: skip
    model = {
        "xlm-roberta": lambda: XLMRobertaModel(XLMRobertaConfig(**shape, type_vocab_size=1), add_pooling_layer=False),
        "bert": lambda: BertModel(BertConfig(**shape, type_vocab_size=2), add_pooling_layer=False),
    }[kind]()
    return Encoder(model.double())


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
def test_packed_states_and_gradients_equal_padded_ones(kind):
    packed_encoder, padded_encoder = encoder(kind), encoder(kind)
    padded_encoder.packs = False
    padded_encoder.model.set_attn_implementation("eager")
    sequences = [[5 + (i * 7 + j) % 150 for j in range(n)] for i, n in enumerate([7, 3, 7, 12, 3, 1])]
    types = [[int(j > len(s) // 2) for j in range(len(s))] for s in sequences]
    batch = pack(sequences, types)
    results = []
    for system in (packed_encoder, padded_encoder):
        states = system(batch)
        pool(states, batch, "cls_mean_max").pow(2).mean().backward()
        results.append((states, [p.grad for p in system.parameters()]))
    (packed, packed_grads), (padded, padded_grads) = results
    torch.testing.assert_close(packed, padded, rtol=0, atol=1e-10)
    for one, other in zip(packed_grads, padded_grads, strict=True):
        if one is not None or other is not None:
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    torch.testing.assert_close(packed_encoder(batch, 1), padded_encoder(batch, 1), rtol=0, atol=1e-10)


def test_pack_lays_out_by_length_and_remembers_the_order_given():
    batch = pack([[9, 9, 9], [4], [7, 7, 7], [5, 5]], [[0] * 3, [0], [0] * 3, [0] * 2])
    assert batch.tokens.tolist() == [4, 5, 5, 9, 9, 9, 7, 7, 7]
    assert batch.positions.tolist() == [0, 0, 1, 0, 1, 2, 0, 1, 2]
    assert batch.starts.tolist() == [3, 0, 6, 1]
    assert batch.runs == ((1, 1), (1, 2), (2, 3))
    assert batch.padded(batch.tokens)[3, :2].tolist() == [5, 5]


@pytest.mark.parametrize("sequences", [[], [[1, 2], []]])
def test_empty_batches_and_sequences_are_refused(sequences):
    with pytest.raises(ValueError, match="at least one"):
        pack(sequences, sequences)


def test_trained_tokenizer_segments_like_sentencepiece(tmp_path):
    import sentencepiece

    texts = [normalize(t) for t in TEXTS]
    train_tokenizer(TEXTS, tmp_path, vocab_size=160)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(tmp_path / "sp"), model_type="bpe", vocab_size=159,
        character_coverage=1.0, normalization_rule_name="identity", bos_id=0, pad_id=1, eos_id=2, unk_id=3,
        num_threads=1, minloglevel=2,
    )  # fmt: skip
    reference = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sp.model"))
    ours = load_tokenizer(tmp_path)
    for text in [*texts[:6], "a dog seen in gardens", "саду кошка", "unseen ž letters"]:
        assert ours.encode(text, add_special_tokens=False).ids == reference.encode(text), text


def test_tokenizer_opens_in_transformers(tmp_path):
    from transformers import AutoTokenizer

    train_tokenizer(TEXTS, tmp_path, vocab_size=160)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    assert opened("the cat", "a dog")["input_ids"] == load_tokenizer(tmp_path).encode("the cat", "a dog").ids
    assert opened.mask_token_id == 159


def test_tagging_windows_cover_every_word_and_join_in_order(tokenizer):
    words = [f"cat{i % 7}" for i in range(40)]
    rows = [{"id": "a", "tokens": words, "tags": ["A", "B"] * 20}, {"id": "b", "tokens": ["dog"], "tags": ["B"]}]
    module, task = format_module("tagging"), {"labels": ["A", "B"], "alone": False}
    features = module.encode(rows, tokenizer, task, SETTINGS)
    assert len(features) > 2 and all(f.tokens <= SETTINGS["max_length"] for f in features)
    pieces = [(f, [task["labels"][tag] for _, tag in f.target]) for f in reversed(features)]
    assert module.join(pieces, rows) == [r["tags"] for r in rows]
    alone = module.encode(rows, tokenizer, task | {"alone": True}, SETTINGS)
    assert len(alone) == 41


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("The cat saw a dog in the garden yesterday.", "a dog"),
        ("Кошка видит собаку в саду вчера", "собаку"),
        ("猫は犬を見た。", "犬"),
        ("แมวเห็นหมา ในสวน", "หมา"),
        ("القط رأى الكلب", "الكلب"),
        ("  the   cat\u00a0saw a ﬁne dog", "a ﬁne dog"),
    ],
)
def test_span_targets_point_to_the_answer_in_every_script(tokenizer, context, answer):
    row = {"id": "q", "context": context, "question": "the cat?", "answers": [answer]}
    row["answer_starts"] = [context.index(answer)]
    module = format_module("span")
    (feature,) = module.encode([row], tokenizer, {}, SETTINGS | {"max_length": 64})
    inside, offsets = feature.extra["inside"], feature.extra["offsets"]
    first, last = (inside.index(at) for at in feature.target)
    assert answer in context[offsets[first][0] : offsets[last][1]]
    scores = torch.full((1, feature.tokens, 2), -5.0)
    scores[0, feature.target[0], 0] = scores[0, feature.target[1], 1] = 5.0
    (span,) = module.decode(None, scores, [feature])
    assert answer in module.join([(feature, span)], [row])[0]


def test_span_takes_the_best_window_of_a_long_context(tokenizer):
    context = " ".join(f"cat{i}" for i in range(60))
    row = {"id": "q", "context": context, "question": "dog", "answers": ["cat40"]}
    row["answer_starts"] = [context.index("cat40")]
    module = format_module("span")
    features = module.encode([row], tokenizer, {}, SETTINGS)
    found = [f for f in features if f.target != (0, 0)]
    assert len(features) > 3 and found and all(f.tokens <= SETTINGS["max_length"] for f in features)
    pieces = [(f, (float(f is found[0]), 0, 5) if f is not found[0] else (9.0, 7, 9)) for f in features]
    assert module.join(pieces, [row]) == [context[7:9]]


def test_multiple_choice_ignores_missing_choices():
    module = format_module("multiple_choice")
    features = [Feature(0, [[1]] * 3, [[0]] * 3, 2), Feature(1, [[1]] * 2, [[0]] * 2, 0)]
    scores = torch.tensor([0.1, 0.2, 0.9, 0.5, 0.4], requires_grad=True)
    assert module.decode(None, scores, features) == [2, 0]
    loss = module.Head(4, {}, SETTINGS).loss(scores, features)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(scores.grad).all()


def test_nearest_is_exact_in_blocks_and_breaks_ties_by_order():
    torch.manual_seed(0)
    queries, candidates = torch.randn(50, 8), torch.randn(60, 8)
    expected = torch.cosine_similarity(queries[:, None], candidates[None], dim=-1).argmax(-1).tolist()
    assert nearest(queries, candidates, center=False, block=7) == expected
    assert nearest(torch.ones(1, 2), torch.ones(3, 2), center=False) == [0]
