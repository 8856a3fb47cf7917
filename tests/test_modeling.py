"""Packed computation equals padded computation; formats encode and decode what they should."""

import io
import unicodedata

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

from intermezzo.modeling.encoder import Encoder
from intermezzo.modeling.heads import Feature, format_module
from intermezzo.modeling.packing import pack
from intermezzo.modeling.pooling import pool
from intermezzo.modeling.tokenizer import load_tokenizer, normalize, train_tokenizer
from specifications import encoding, head_spec

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
    for grad, padded_grad in zip(packed_grads, padded_grads, strict=True):
        if grad is not None or padded_grad is not None:
            torch.testing.assert_close(grad, padded_grad, rtol=0, atol=1e-10)
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
    features = module.encode(rows, tokenizer, encoding(task, SETTINGS))
    assert len(features) > 2 and all(f.tokens <= SETTINGS["max_length"] for f in features)
    assert told(module, features, rows) == [r["tags"] for r in rows]
    alone = module.encode(rows, tokenizer, encoding(task | {"alone": True}, SETTINGS))
    assert len(alone) == 41


def told(module, features: list[Feature], rows: list[dict]) -> list[list[str]]:
    """What a head says that is right at each word's first subword, and says X everywhere else."""
    head = module.Head(4, head_spec({"labels": ["A", "B", "X"]}, SETTINGS))
    starts = torch.tensor([0, *torch.tensor([f.tokens for f in features]).cumsum(0).tolist()[:-1]])
    logits = torch.tensor([0.0, 0.0, 1.0]).repeat(sum(f.tokens for f in features), 1)
    for start, feature in zip(starts.tolist(), features, strict=True):
        for at, tag in feature.target:
            logits[start + at, tag] = 2.0
    pieces = list(zip(features, module.decode(head, (logits, starts), features), strict=True))
    return module.join(pieces[::-1], rows)


@pytest.mark.parametrize(
    "words",
    [
        ["cat", "abcdefghij" * 9, "dog"],  # longer than a window, at the start, middle and end
        ["abcdefghij" * 9],
        ["", "cat", "", "", "dog", ""],  # no subword at all
        ["", "", "abcdefghij" * 9, ""],
        ["\u200b", "\u00a0", "\u200d", "\ufeff", "\u00ad", "10 000", "<unk>", "<s>"],
        ["cat"] * 22 + [""] * 40 + ["dog"] * 22,
        ["แมว" * 20, "猫" * 50, "القط"],
    ],
)
def test_every_word_has_one_tag_whatever_its_tokens(tokenizer, words):
    rows = [{"id": "a", "tokens": words, "tags": ["AB"[i % 2] for i in range(len(words))]}]
    module = format_module("tagging")
    for alone in (False, True):
        features = module.encode(rows, tokenizer, encoding({"labels": ["A", "B", "X"], "alone": alone}, SETTINGS))
        assert all(0 < f.tokens <= SETTINGS["max_length"] for f in features)
        assert told(module, features, rows) == [rows[0]["tags"]]
        pack([s for f in features for s in f.sequences], [t for f in features for t in f.types])


def test_tags_that_training_never_saw_take_no_part_in_the_loss(tokenizer):
    module, task = format_module("tagging"), {"labels": ["A", "B"]}
    rows = [{"id": "a", "tokens": ["the", "cat", "dog"], "tags": ["A", "NEW", "B"]}]
    (feature,) = module.encode(rows, tokenizer, encoding(task, SETTINGS))
    logits = torch.randn(feature.tokens, 2)
    loss = module.Head(4, head_spec(task, SETTINGS)).loss((logits, torch.tensor([0])), [feature])
    places = [at for at, tag in feature.target if tag >= 0]
    assert len(places) == 2
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits[places], torch.tensor([0, 1])))
    (unlabelled,) = module.encode([rows[0] | {"tags": None}], tokenizer, encoding(task, SETTINGS))
    assert unlabelled.sequences == feature.sequences
    assert [at for at, _ in unlabelled.target] == [at for at, _ in feature.target]


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
    (feature,) = module.encode([row], tokenizer, encoding({}, SETTINGS | {"max_length": 64}))
    inside, offsets = feature.extra["inside"], feature.extra["offsets"]
    first, last = (inside.index(at) for at in feature.target)
    assert answer in context[offsets[first][0] : offsets[last][1]]
    scores = torch.full((1, feature.tokens, 2), -5.0)
    scores[0, feature.target[0], 0] = scores[0, feature.target[1], 1] = 5.0
    (span,) = module.decode(module.Head(4, head_spec({}, SETTINGS)), scores, [feature])
    (text,) = module.join([(feature, span)], [row])
    assert answer in text and (text == answer or " " not in context[: context.index(answer)])


def test_span_takes_the_best_window_of_a_long_context(tokenizer):
    context = " ".join(f"cat{i}" for i in range(60))
    row = {"id": "q", "context": context, "question": "dog", "answers": ["cat40"]}
    row["answer_starts"] = [context.index("cat40")]
    module = format_module("span")
    features = module.encode([row], tokenizer, encoding({}, SETTINGS))
    answered = [f for f in features if f.target != (0, 0)]
    assert len(features) > 3 and answered and all(f.tokens <= SETTINGS["max_length"] for f in features)
    null = float("-inf")
    pieces = [(f, (9.0, 7, 9, null) if f is answered[0] else (0.0, 0, 5, null)) for f in reversed(features)]
    assert module.join(pieces, [row]) == [context[7:9]]


SENTENCES = {
    "zh": "中国的首都是北京，它是全国的政治中心。人口约２１００万人。",  # noqa: RUF001
    "th": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย มีแม่น้ำเจ้าพระยาไหลผ่าน",
    "ar": "القاهرة هي عاصمة جمهورية مصر العربية، ﻭﻻ تزال أكبر مدنها.",
    "hi": "नई दिल्ली भारत की राजधानी है। लड़का क़लम से लिखता है।",
    "ja": "東京都は日本の首都である。ｶﾞｲﾄﾞは㈱山田。",
    "en": "the cafe\u0301 sold ﬁne ＡＢＣ for ½ or ² a e\u0302\u0323",  # noqa: RUF001
}


@pytest.fixture(scope="module")
def characters(tmp_path_factory) -> Tokenizer:
    """A tokenizer whose pieces are single characters (after NFKC), so that every answer ends where a token does."""
    alphabet = {c for text in SENTENCES.values() for c in normalize(text)}
    folder = tmp_path_factory.mktemp("characters")
    train_tokenizer([*SENTENCES.values()] * 3, folder, vocab_size=len(alphabet) + 5)
    return load_tokenizer(folder)


@pytest.mark.slow
@pytest.mark.parametrize("language", SENTENCES)
@pytest.mark.parametrize("max_length", [30, 200])
def test_gold_positions_give_back_the_answer_in_every_script(characters, language, max_length):
    """Every run of 1 to 8 characters that does not part a character from its marks, in one window and in several."""
    context = SENTENCES[language]
    ends = [i for i in range(len(context) + 1) if whole(context, i)]
    rows = [
        {"id": "q", "context": context, "question": "a?", "answers": [context[a:b]], "answer_starts": [a]}
        for a in ends
        for b in ends
        if a < b <= a + 8 and context[a:b].strip() == context[a:b]
    ]
    answers = perfect_answers(characters, rows, max_length)
    assert answers == [row["answers"][0] for row in rows]


def perfect_answers(tokenizer: Tokenizer, rows: list[dict], max_length: int) -> list[str]:
    """The answers of a head that is right about every token."""
    module, head = format_module("span"), format_module("span").Head(4, head_spec({}, SETTINGS))
    features = module.encode(rows, tokenizer, encoding({}, SETTINGS | {"max_length": max_length, "stride": 20}))
    pieces = []
    for feature in features:
        scores = torch.zeros(1, feature.tokens, 2)
        if feature.target != (0, 0):
            scores[0, feature.target[0], 0] = scores[0, feature.target[1], 1] = 5.0
        pieces += zip([feature], module.decode(head, scores, [feature]), strict=True)
    return module.join(pieces, rows)


def whole(text: str, at: int) -> bool:
    """Whether normalisation leaves the text's two parts alone: the place is not inside what becomes one character."""
    return unicodedata.normalize("NFKC", text[:at]) + unicodedata.normalize("NFKC", text[at:]) == (
        unicodedata.normalize("NFKC", text)
    )


DECOMPOSED = "jẹ́ oúnjẹ ní ọjà lẹ́sẹ̀kẹsẹ̀ pẹ̀lú ọ̀rẹ́ bọ́ọ̀lù kẹ́kọ̀ọ́ ọ̀kụ́kọ̀ ńnụ̀ người Việt phố nước ǫ́ café 한국 사람"
"""Yoruba, Igbo, Vietnamese, Navajo, French, Korean."""
MARKED = "น้ำ ที่ हिन्दी दिल्ली की தமிழ் မြန်မာ ភាសា שָׁלוֹם מֹשֶׁה كِتَابٌ 👩\u200d👩\u200d👧 ❤️ 👍🏽"
"""Thai, Hindi, Tamil, Burmese, Khmer, Hebrew, Arabic, emoji."""
NORMALIZERS = {
    "XLM-R": lambda: normalizers.Precompiled(sentencepiece_rules()),
    "ours": lambda: normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")]),
    "uncased BERT": normalizers.BertNormalizer,
    "composed": normalizers.NFC,
}


def sentencepiece_rules() -> bytes:
    """The table of normalisation that XLM-R has, cut out of a model of sentencepiece (its length has 7 bits a byte)."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=65, minloglevel=2, num_threads=1,
        normalization_rule_name="nmt_nfkc",
    )  # fmt: skip
    table = model.getvalue().partition(b"\x0a\x08nmt_nfkc\x12")[2]
    bits = next(n for n in range(1, 6) if table[n - 1] < 128)
    return table[bits:][: sum((table[i] & 127) << 7 * i for i in range(bits))]


@pytest.mark.parametrize("name", NORMALIZERS)
def test_a_right_answer_keeps_the_marks_of_its_last_character(name):
    """33 words with each kind of tokenizer, amid their text, before a full stop, and at its end."""
    normalizer = NORMALIZERS[name]()
    words = [*unicodedata.normalize("NFD", DECOMPOSED).split(), *MARKED.split()]
    contexts = [f"a {word}{tail}" for word in words for tail in (" a", ".", "")]
    alphabet = sorted({letter for text in contexts for letter in normalizer.normalize_str(text)} | set("▁a?."))
    pieces = [("<s>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -1.0) for letter in alphabet if letter != " ")]
    tokenizer = Tokenizer(models.Unigram(pieces, 2))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    rows = [
        {"id": "q", "context": context, "question": "a?", "answers": [words[i // 3]], "answer_starts": [2]}
        for i, context in enumerate(contexts)
    ]
    assert perfect_answers(tokenizer, rows, 60) == [row["answers"][0] for row in rows]


def test_an_answer_is_empty_where_the_first_tokens_least_score_beats_every_span(tokenizer):
    module = format_module("span")
    row = {"id": "q", "context": " ".join(f"cat{i}" for i in range(30)), "question": "dog", "answers": []}
    features = module.encode([row | {"answer_starts": []}], tokenizer, encoding({}, SETTINGS))
    assert len(features) > 2 and {f.target for f in features} == {(0, 0)}

    def answer(null: list[float], best: float, **task) -> str:
        head, pieces = module.Head(4, head_spec(task, SETTINGS)), []
        for i, feature in enumerate(features):
            scores = torch.full((1, feature.tokens, 2), -9.0)
            scores[0, 0] = null[i % len(null)] / 2
            if i == 1:
                scores[0, feature.extra["inside"][3]] = best / 2
            pieces += zip([feature], module.decode(head, scores, [feature]), strict=True)
        (text,) = module.join(pieces[::-1], [row])
        return text

    assert answer([5.0], 4.0, unanswerable=True) == ""
    assert answer([5.0, 3.0], 4.0, unanswerable=True) != ""  # the least over the windows counts
    assert answer([4.0], 4.0, unanswerable=True) != ""  # not better: the answer stays
    assert answer([5.0], 4.0) == answer([3.0], 4.0, unanswerable=True) != ""  # every question has an answer


def test_spans_are_in_order_and_no_longer_than_the_longest_answer(tokenizer):
    module = format_module("span")
    context = " ".join("abcdefghij"[i % 10] for i in range(60))
    row = {"id": "q", "context": context, "question": "a", "answers": ["b"], "answer_starts": [2]}
    (feature,) = module.encode([row], tokenizer, encoding({}, SETTINGS | {"max_length": 300}))
    inside = feature.extra["inside"]
    scores = torch.full((1, feature.tokens, 2), -9.0)
    scores[0, inside[40], 0], scores[0, inside[2], 1] = 9.0, 9.0  # the best end lies before the best start
    scores[0, inside[3], 0], scores[0, inside[3 + module.LONGEST_ANSWER], 1] = 5.0, 5.0  # one token too long
    scores[0, inside[4], 0] = 4.0
    ((_, begin, end, _),) = module.decode(module.Head(4, head_spec({}, SETTINGS)), scores, [feature])
    assert (begin, end) == (feature.extra["offsets"][4][0], feature.extra["offsets"][3 + module.LONGEST_ANSWER][1])


def test_multiple_choice_ignores_missing_choices():
    module = format_module("multiple_choice")
    features = [Feature(0, [[1]] * 3, [[0]] * 3, 2), Feature(1, [[1]] * 2, [[0]] * 2, 0)]
    scores = torch.tensor([0.1, 0.2, 0.9, 0.5, 0.4], requires_grad=True)
    assert module.decode(None, scores, features) == [2, 0]
    loss = module.Head(4, head_spec({}, SETTINGS)).loss(scores, features)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(scores.grad).all()
