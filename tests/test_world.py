"""The embedded world: determinism, splits, balance, alignment of answers and tags, anchors.

What is particular to the formats of single generators is in test_world_formats.py.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from intermezzo.core.errors import UserError
from intermezzo.sources.world import read
from intermezzo.tasks import load_task, task_names
from intermezzo.tasks.formats import table
from intermezzo.world import DEFAULTS, SPLITS, World, build
from intermezzo.world.generators import GENERATORS
from intermezzo.world.scenes import MODIFIERS, Sampler, Scene, names_of
from intermezzo.world.seeds import stream
from specifications import data

LANGUAGES = tuple(build().languages)
RARE = tuple(code for code, language in build().languages.items() if language.rare)
HIGH = tuple(code for code in LANGUAGES if code not in RARE)
TASKS = tuple(name for name in GENERATORS if name in task_names())
"""Generators that a task of the same name uses."""


@pytest.fixture(scope="module")
def world() -> World:
    return build({"seed": 7})


# Determinism


@pytest.mark.slow
def test_the_same_settings_give_the_same_rows_in_any_order_of_calls():
    first, second = World({**DEFAULTS, "seed": 7}), World({**DEFAULTS, "seed": 7})
    languages = ("nor", "kar", "tiw")
    calls = [(name, code, split) for name, made in GENERATORS.items() for code in languages for split in made.defaults]
    forwards = {call: first.rows(*call, 12) for call in calls}
    shuffled = random.Random(0).sample(calls, len(calls))
    assert {call: second.rows(*call, 12) for call in shuffled} == forwards


def test_fewer_rows_are_a_prefix_of_more(world):
    for generator in GENERATORS:
        if generator != "mining":
            assert world.rows(generator, "mor", "train", 30)[:10] == world.rows(generator, "mor", "train", 10)
    for generator in ("answer_retrieval", "entity_retrieval"):
        more = [row["id"] for row in world.rows(generator, "mor", "candidates", 60)]
        assert {row["id"] for row in world.rows(generator, "mor", "candidates", 30)} < set(more)


def test_another_seed_is_another_world(world):
    assert build({"seed": 8}).rows("nli", "qul", "test", 5) != world.rows("nli", "qul", "test", 5)


def test_exactly_the_number_asked_for_or_the_default(world):
    assert len(world.rows("qa", "en", "dev", 7)) == 7
    assert len(world.rows("ner", "tiw", "test")) == 400
    assert len(world.rows("text", "tiw", "train")) == world.languages["tiw"].documents
    assert len(build({"documents_scale": 0.5}).rows("text", "tiw", "train")) == world.languages["tiw"].documents // 2


# Formats, offsets, tags


@pytest.mark.parametrize("generator", TASKS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_rows_fit_their_format(world, generator, language):
    """`table` checks labels, that tokens and tags are aligned, that answers are at their offsets, that ids differ."""
    task = load_task(generator)
    for split in SPLITS:
        table(world.rows(generator, language, split, 60), task.format, task.labels, origin=f"{language}/{split}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_are_whole_words_and_move(world, language):
    rows = world.rows("qa", language, "test", 300)
    for row in rows:
        [answer], [start] = row["answers"], row["answer_starts"]
        assert f" {row['context']} "[start : start + len(answer) + 2] == f" {answer} "
    halves = Counter(row["answer_starts"][0] > len(row["context"]) / 2 for row in rows)
    assert min(halves.values()) > 0.35 * len(rows)


def test_names_are_tagged_and_inflected_in_case_languages(world):
    rows = world.rows("ner", "kar", "test", 300)
    ends = [row["tokens"][at] for row in rows for at, tag in enumerate(row["tags"]) if tag != "O"]
    assert any(name.endswith("ssa") for name in ends) and any(name.endswith("an") for name in ends)
    types = Counter(tag[2:] for row in rows for tag in row["tags"] if tag.startswith("B-"))
    assert set(types) == {"PER", "LOC", "ORG"} and min(types.values()) > 0.2 * sum(types.values())


def test_zhagun_has_its_own_script(world):
    text = " ".join(row["text"] for row in world.rows("nli", "zha", "test", 200))
    assert {c for c in text if c.isalpha()} <= {chr(c) for c in range(0x10D0, 0x10FB)}


def test_word_orders_differ():
    said = {}
    for code in ("en", "kar", "vel"):
        grammar = build().grammars[code]
        tokens = grammar.say(Scene("n:dog", "v:hate", "n:cake"))
        said[code] = "".join({"NOUN": "N", "VERB": "V"}.get(token.tag, "") for token in tokens)
    assert said == {"en": "NVN", "kar": "NNV", "vel": "VNN"}


# Splits


def test_facts_and_names_belong_to_one_split(world):
    facts, names = {}, {}
    for split in SPLITS:
        sampler = Sampler(world.inventory, 7, split, stream("test", split))
        base = world.inventory.base
        scenes = [sampler.scene() for _ in range(3000)]
        facts[split] = {tuple(base.get(p, p) for p in (s.subject, s.verb, s.object)) for s in scenes}
        names[split] = set(names_of(7, split, world.inventory.names["number"]))
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not facts[one] & facts[other] and not names[one] & names[other]
    assert all(len(names[split]) >= 60 for split in SPLITS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "generator", ["nli", "paraphrase", "qa", "qa_unanswerable", "answer_retrieval", "entity_retrieval", "mining"]
)
def test_no_fact_of_a_test_set_occurs_in_training_data_or_text(world, generator):
    """On the meanings themselves, edited premises included."""

    def facts(made: str, split: str, number: int) -> set[tuple[str, ...]]:
        meanings = world._meanings(GENERATORS[made], made, split, "all")
        found, base = set(), world.inventory.base
        for _ in range(number):
            for scene in _scenes(next(meanings)):
                found.add(tuple(base.get(part, part) for part in (scene.subject, scene.verb, scene.object)))
        return found

    test = facts(generator, "test", 600)
    assert test and not test & (facts(generator, "train", 3000) | facts("text", "train", 3000))


def _scenes(meaning):
    """All events in a meaning, however nested."""
    if isinstance(meaning, Scene):
        return [meaning]
    if isinstance(meaning, str | int):
        return []
    parts = meaning if isinstance(meaning, tuple) else [getattr(meaning, name) for name in meaning.__slots__]
    return [scene for part in parts if part is not None for scene in _scenes(part)]


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["pos", "ner"])
def test_no_tagged_sentence_of_a_test_set_occurs_in_training_data(world, generator):
    """Not even one that says less than a fact, such as a state."""
    test, train = (
        {tuple(row["tokens"]) for row in world.rows(generator, "en", split, rows)}
        for split, rows in (("test", 400), ("train", 6000))
    )
    assert not test & train


def test_test_rows_are_parallel_and_training_rows_are_not(world):
    english, other = (world.rows("nli", code, "test", 60) for code in ("en", "zha"))
    assert [row["label"] for row in english] == [row["label"] for row in other]
    assert world.translate(english, "zha") == other
    assert [r["label"] for r in world.rows("nli", "en", "train", 60)] != [
        r["label"] for r in world.rows("nli", "zha", "train", 60)
    ]


# Balance: nothing can be read off one field


def _accuracy(train, test, field) -> float:
    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", binary=True, min_df=2)
    model = LogisticRegression(C=0.1, max_iter=100)
    model.fit(words.fit_transform([row[field] for row in train]), [row["label"] for row in train])
    return model.score(words.transform([row[field] for row in test]), [row["label"] for row in test])


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "kar"])
@pytest.mark.parametrize("generator,chance", [("nli", 1 / 3), ("paraphrase", 1 / 2)])
def test_one_side_of_a_pair_says_nothing(world, language, generator, chance):
    train, test = world.rows(generator, language, "train", 3000), world.rows(generator, language, "test", 900)
    assert Counter(row["label"] for row in test).most_common()[0][1] <= 900 * chance + 1
    assert _accuracy(train, test, "text_pair") < chance + 0.05
    assert _accuracy(train, test, "text") < chance + 0.07


def test_each_hypothesis_occurs_with_every_label(world):
    labels = defaultdict(set)
    for row in world.rows("nli", "fri", "test", 399):
        labels[row["text_pair"]].add(row["label"])
    assert all(len(found) == 3 for found in labels.values())


def test_premises_have_one_length_under_all_labels(world):
    lengths = defaultdict(list)
    for row in world.rows("nli", "en", "train", 3000):
        lengths[row["label"]].append(len(row["text"].split()))
    means = [sum(found) / len(found) for found in lengths.values()]
    assert max(means) - min(means) < 0.3


@pytest.mark.slow
def test_choices_without_their_context_say_nothing(world):
    def flat(rows):
        return [
            {"text": choice, "label": at == row["label"]} for row in rows for at, choice in enumerate(row["choices"])
        ]

    train, test = (world.rows("multiple_choice", "en", split, 900) for split in ("train", "test"))
    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", binary=True)
    model = LogisticRegression(C=0.1, max_iter=100)
    model.fit(words.fit_transform([row["text"] for row in flat(train)]), [row["label"] for row in flat(train)])
    right = sum(
        max(range(4), key=model.predict_proba(words.transform(row["choices"]))[:, 1].__getitem__) == row["label"]
        for row in test
    )
    assert right / len(test) < 0.25 + 0.06


def test_a_context_is_asked_three_questions_with_three_answers(world):
    answers = defaultdict(set)
    for row in world.rows("qa", "vel", "test", 300):
        answers[row["context"]].add(row["answer_starts"][0])
    assert all(len(found) == 3 for found in answers.values())


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "nor", "kar", "zha"])
def test_tags_cannot_be_looked_up(world, language):
    seen = defaultdict(Counter)
    for row in world.rows("pos", language, "train", 3000):
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            seen[token][tag] += 1
    right = total = 0
    for row in world.rows("pos", language, "test", 400):
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            total += 1
            right += (seen[token].most_common(1)[0][0] if token in seen else "PROPN") == tag
    assert right / total < 0.95


def test_a_name_at_test_time_is_unseen_and_of_no_type(world):
    def names(split):
        found = defaultdict(set)
        for row in world.rows("ner", "en", split, 2000):
            for token, tag in zip(row["tokens"], row["tags"], strict=True):
                if tag != "O":
                    found[token].add(tag[2:])
        return found

    train, test = names("train"), names("test")
    assert not set(train) & set(test)
    assert sum(len(types) == 3 for types in train.values()) > 0.5 * len(train)


# Languages and anchors


def test_languages_meet_the_plan(world):
    documents = {code: language.documents for code, language in world.languages.items()}
    assert len(LANGUAGES) == 13 and len(RARE) >= 8
    assert len({world.languages[code].family for code in RARE}) >= 6
    assert sum(not world.languages[code].training_examples for code in RARE) >= 3
    assert max(documents[code] for code in RARE) * 3 <= min(documents[code] for code in HIGH)
    high = {world.languages[code].family for code in HIGH}
    assert sum(world.languages[code].family not in high for code in RARE) >= 4
    assert {language.order for language in world.languages.values()} == {"SVO", "SOV", "VSO"}


def _words(settings, language) -> set[str]:
    made = build({"seed": 7, "documents_scale": 0.1, **settings})
    rows = [*made.rows("text", language, "train", 600), *made.rows("ner", language, "train", 300)]
    text = [word for row in rows for word in (row["text"].split() if "text" in row else row["tokens"])]
    return {word for word in text if word.isalpha()}


@pytest.mark.slow
@pytest.mark.parametrize("language", ["kar", "zha", "qul", "tiw", "wab", "odo"])
def test_without_anchors_unrelated_languages_share_no_word_with_english(language):
    off = {"loanwords": 0, "code_mixed_documents": 0, "names_shared": False}
    english = _words(off, "en")
    assert not english & _words(off, language)
    for anchor in ("loanwords", "code_mixed_documents", "names_shared"):
        if language == "zha" and anchor != "code_mixed_documents":
            continue  # written in another script
        one = {key: value for key, value in off.items() if key != anchor}
        assert _words(one, "en") & _words(one, language), anchor


def test_relatedness_is_graded(world):
    english = world.grammars["en"].lexicon.latin
    same = {code: sum(world.grammars[code].lexicon.latin[c] == w for c, w in english.items()) for code in LANGUAGES}
    assert same["nor"] > same["vel"] > same["kar"]


# Translation


def test_translation_is_exact_without_noise_and_worse_with_it(world):
    rows = world.rows("parallel", "en", "train", 50)
    there = world.translate(rows, "qul")
    assert world.translate(there, "en") == rows
    differ = {}
    for noise in (0.1, 0.5):
        noisy = world.translate(rows, "qul", noise)
        differ[noise] = sum(a["text"] != b["text"] for a, b in zip(there, noisy, strict=True))
    assert 0 < differ[0.1] < differ[0.5]


def test_translation_noise_reaches_training_rows_of_other_languages_alone():
    noisy, clean = build({"seed": 7, "translation_noise": 0.5}), build({"seed": 7})
    for language, split, equal in (("en", "train", True), ("fri", "test", True), ("fri", "train", False)):
        assert (noisy.rows("qa", language, split, 20) == clean.rows("qa", language, split, 20)) is equal
    task = load_task("qa")
    table(noisy.rows("qa", "fri", "train", 100), task.format, task.labels)


# Refusals


@pytest.mark.parametrize(
    "settings,said",
    [
        ({"loanword": 0.2}, "did you mean 'loanwords'"),
        ({"loanwords": 2}, "world.loanwords: 2"),
        ({"seed": "x"}, "world.seed"),
        ({"names_shared": 1}, "true, false"),
        ({"documents_scale": 0}, "above 0"),
    ],
)
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        build(settings)


@pytest.mark.parametrize(
    "call,said",
    [
        (("nlu", "en", "test"), "did you mean 'nli'"),
        (("nli", "enn", "test"), "did you mean 'en'"),
        (("nli", "en", "tset"), "did you mean 'test'"),
        (("nli", "en", "candidates"), "no split of 'nli' 'candidates'; allowed: dev, test, train"),
        (("nli", "en", "test", 0), "at least 1"),
    ],
)
def test_unknown_names_are_refused(world, call, said):
    with pytest.raises(UserError, match=said):
        world.rows(*call)


def test_rows_of_elsewhere_cannot_be_translated(world):
    with pytest.raises(UserError, match="not a row of the embedded world"):
        world.translate([{"id": "xnli-3"}], "fri")


def test_the_source_reads_rows_by_task(world):
    assert read(data("world", "nli", "fri", "test", rows=5)) == world.rows("nli", "fri", "test", 5)


def test_modifiers_are_slots_of_a_scene():
    assert set(MODIFIERS) < set(Scene.__slots__)
