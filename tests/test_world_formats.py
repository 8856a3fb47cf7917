"""The embedded world, format by format: unanswerable questions, mining, ranking, choices, supertags; mapped labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice, pairwise

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

import specifications
from intermezzo.core.errors import UserError
from intermezzo.sources import world as source
from intermezzo.tasks import Task
from intermezzo.tasks.formats import table
from intermezzo.world import DEFAULTS, World, build
from intermezzo.world.generators import GENERATORS, answers, entities, supertags
from intermezzo.world.grammar import text_of
from intermezzo.world.scenes import Question, Scene, State

LANGUAGES = tuple(build().languages)
FORMATS = {
    **dict.fromkeys(("nli", "paraphrase"), "classification"),
    **dict.fromkeys(("multiple_choice", "choices2", "choices3", "choices5"), "multiple_choice"),
    **dict.fromkeys(("pos", "ner", "supertag"), "tagging"),
    **dict.fromkeys(("qa", "qa_unanswerable"), "span"),
    **dict.fromkeys(("retrieval", "parallel"), "retrieval"),
    **dict.fromkeys(("answer_retrieval", "entity_retrieval"), "ranking"),
    **{"mining": "mining", "text": "mlm"},
}
RANKING = ("answer_retrieval", "entity_retrieval")


@pytest.fixture(scope="module")
def world() -> World:
    return build({"seed": 7})


def rows_of(world: World, generator: str, split: str, n: int) -> dict[str, list[dict]]:
    """Language -> rows."""
    return {code: world.rows(generator, code, split, n) for code in LANGUAGES}


def accuracy(train, test, text, label) -> float:
    """Of a bag of words and word pairs."""
    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", binary=True, min_df=2)
    model = LogisticRegression(C=0.1, max_iter=200)
    model.fit(words.fit_transform(map(text, train)), list(map(label, train)))
    return model.score(words.transform(map(text, test)), list(map(label, test)))


# All formats


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_rows_of_every_generator_fit_its_format(world, generator, language):
    if generator == "mining" and language == "en":
        pytest.skip("English is the other side of every pair")
    for split in GENERATORS[generator].defaults:
        rows = world.rows(generator, language, split, 40)
        found = {label for row in rows for label in (row.get("tags") or [row.get("label")])}
        made = table(rows, FORMATS[generator], tuple(found), origin=f"{language}/{split}")
        assert made.num_rows == 40 or split == "candidates"


@pytest.mark.parametrize("generator", ["qa_unanswerable", "choices3", "supertag", *RANKING])
def test_development_and_test_rows_are_parallel(world, generator):
    """By their gold; the text of another language is the translation (what `translate` makes of the English row)."""
    for split in ("dev", "test"):
        english = world.rows(generator, "en", split, 60)
        assert world.translate(english, "qul") == world.rows(generator, "qul", split, 60)
    train = [world.rows(generator, code, "train", 30) for code in ("en", "qul")]
    assert world.translate(train[0], "qul") != train[1]


@pytest.mark.parametrize("generator", ["qa_unanswerable", "supertag", *RANKING])
def test_noise_in_training_data_leaves_the_rows_usable(generator):
    noisy, clean = build({"seed": 7, "translation_noise": 0.5}), build({"seed": 7})
    train = noisy.rows(generator, "fri", "train", 100)
    table(train, FORMATS[generator], {tag for row in train for tag in row.get("tags", ())})
    assert train != clean.rows(generator, "fri", "train", 100)
    for split in set(GENERATORS[generator].defaults) - {"train"}:
        assert noisy.rows(generator, "fri", split, 30) == clean.rows(generator, "fri", split, 30)


# Unanswerable questions


def test_a_third_of_the_questions_has_no_answer_whatever_is_asked_for(world):
    by_context, by_slot = defaultdict(list), defaultdict(Counter)
    meanings = list(islice(world._meanings(GENERATORS["qa_unanswerable"], "qa_unanswerable", "test", "all"), 1500))
    for meaning, row in zip(meanings, world.rows("qa_unanswerable", "en", "test", 1500), strict=True):
        by_context[row["context"]].append(bool(row["answers"]))
        by_slot[meaning.question.slot][bool(row["answers"])] += 1
    assert Counter(map(tuple, map(sorted, by_context.values()))) == {(False, True, True): 500}
    for asked, found in by_slot.items():
        assert 0.26 < found[False] / found.total() < 0.41, asked


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "kar"])
def test_neither_context_nor_question_tells_whether_there_is_an_answer(world, language):
    train, test = (world.rows("qa_unanswerable", language, split, n) for split, n in (("train", 3000), ("test", 900)))
    views = (
        lambda row: row["question"],
        lambda row: row["context"],
        lambda row: row["context"] + " ".join(f" asked-{word}" for word in row["question"].split()),
    )
    for view in views:
        assert accuracy(train, test, view, lambda row: bool(row["answers"])) < 2 / 3 + 0.02


def test_an_unanswerable_question_holds_words_of_its_context_and_fits_none_of_its_events(world):
    base, found = world.inventory.base, 0
    for meaning in islice(world._meanings(GENERATORS["qa_unanswerable"], "qa_unanswerable", "dev", "all"), 600):
        asked = meaning.question.slot
        said = [slot for slot in ("subject", "verb", "object") if slot != asked]
        question = {slot: getattr(meaning.question.scene, slot) for slot in said}
        for slot, filler in question.items():
            assert filler in [getattr(event, slot) for event in meaning.events]
        fitting = [
            event
            for event in meaning.events
            if all(
                base.get(getattr(event, slot), getattr(event, slot)) == base.get(f, f) for slot, f in question.items()
            )
        ]
        assert len(fitting) == (meaning.question.scene in meaning.events)
        found += not fitting
    assert found == 200


# Mining


def translations(world: World, language: str, split: str) -> dict[str, str]:
    """Text of the language -> English text, of the first sentences that mining draws from."""
    drawn = islice(world._meanings(GENERATORS["mining"], "mining", split, "all"), 2000)
    say, english = (world.grammars[code].say for code in (language, "en"))
    return {text_of(say(scene)): text_of(english(scene)) for scene in drawn}


@pytest.mark.slow
@pytest.mark.parametrize("language", ["nor", "kar", "tiw"])
@pytest.mark.parametrize("n", [4, 60, 61, 400])
def test_mining_pairs_are_the_translations_and_all_of_them(world, language, n):
    rows = world.rows("mining", language, "test", n)
    foreign, english = ({r["id"]: r for r in rows if r["side"] == side} for side in ("foreign", "english"))
    assert (len(foreign), len(english)) == (n - n // 2, n // 2)
    assert list(foreign) == [f"{language}-{number}" for number in range(1, len(foreign) + 1)]
    assert list(english) == [f"en-{number}" for number in range(1, len(english) + 1)]
    assert all(len({row["text"] for row in side.values()}) == len(side) for side in (foreign, english))
    meant, there = translations(world, language, "test"), {row["text"]: name for name, row in english.items()}
    for row in foreign.values():
        assert row["pair"] == there.get(meant[row["text"]])
    pairs = [row["pair"] for row in foreign.values() if row["pair"]]
    assert len(pairs) == len(set(pairs)) == n // 4


def test_no_two_sentences_of_a_side_are_the_same_where_words_have_become_alike():
    """As sound changes can make them; here all verbs of one language are one."""
    made = World({**DEFAULTS, "seed": 7})
    forms = made.grammars["mor"].lexicon.forms
    forms |= {concept: "lam" for concept in forms if concept.startswith("v:")}
    say = made.grammars["mor"].say
    drawn = [
        text_of(say(scene)) for scene in islice(made._meanings(GENERATORS["mining"], "mining", "test", "all"), 300)
    ]
    assert len(set(drawn)) < 300
    for language in ("mor", "kar"):
        texts = [row["text"] for row in made.rows("mining", language, "test", 400) if row["side"] == "foreign"]
        assert len(set(texts)) == 200


@pytest.mark.slow
def test_mining_is_parallel_and_its_order_tells_nothing(world):
    files = {code: world.rows("mining", code, "dev", 400) for code in LANGUAGES if code != "en"}
    assert len({tuple(row["pair"] for row in rows) for rows in files.values()}) == 1
    assert len({tuple(row["text"] for row in rows if row["side"] == "english") for rows in files.values()}) == 1
    pairs = [(at, row["pair"]) for at, row in enumerate(files["fri"][:200])]
    assert 35 < sum(pair is not None for _, pair in pairs[:100]) < 65
    places = [(at, int(pair.split("-")[1])) for at, pair in pairs if pair]
    rising = sum(b[1] > a[1] for a, b in pairwise(places))
    assert 30 < rising < 70  # of 99 neighbours
    assert abs(sum(at for at, _ in places) / 100 - 100) < 25


def test_mining_splits_share_no_sentence(world):
    dev, test = ({row["text"] for row in world.rows("mining", "nor", split, 400)} for split in ("dev", "test"))
    assert not dev & test


@pytest.mark.parametrize(
    "call,said",
    [
        (("mining", "en", "test"), "the other side of every language"),
        (("mining", "fri", "test", 3), "at least 4"),
        (("mining", "fri", "train"), "allowed: dev, test"),
    ],
)
def test_mining_that_cannot_be_is_refused(world, call, said):
    with pytest.raises(UserError, match=said):
        world.rows(*call)


# Ranking


def pool_of(world: World, generator: str, n: int) -> dict[str, str]:
    """Candidate id -> text, of all languages."""
    rows = [row for rows in rows_of(world, generator, "candidates", n).values() for row in rows]
    pool = {row["id"]: row["text"] for row in rows}
    assert len(pool) == len(rows), "ids are unique over languages"
    return pool


@pytest.mark.slow
@pytest.mark.parametrize("generator", RANKING)
@pytest.mark.parametrize("n", [1, 30, None])
def test_candidates_cover_as_many_queries_of_development_and_test_data(world, generator, n):
    files = rows_of(world, generator, "candidates", n)
    assert all(files.values()), "every language has candidates"
    sizes = [len(rows) for rows in files.values()]
    assert max(sizes) - min(sizes) <= 2
    pool = {row["id"] for rows in files.values() for row in rows}
    for split in ("dev", "test"):
        for row in world.rows(generator, "vel", split, n):
            assert row["text_pair"] is None and row["relevant"] and set(row["relevant"]) <= pool


@pytest.mark.parametrize("generator", RANKING)
def test_training_rows_are_pairs_without_ids(world, generator):
    for row in world.rows(generator, "mor", "train", 50):
        assert row["text"] and row["text_pair"] and row["relevant"] == []


def test_the_answer_is_one_sentence_in_every_language(world):
    for row in world.rows("answer_retrieval", "kar", "test", 30):
        languages, contexts, sentences = zip(*(name.split(":") for name in row["relevant"]), strict=True)
        assert languages == LANGUAGES and len(set(contexts)) == len(set(sentences)) == 1


def test_no_other_event_of_the_pool_answers_a_question(world):
    """On meanings, up to synonyms, development and test data together."""
    base, events, queries = world.inventory.base, {}, []
    for split in ("dev", "test"):
        for query in islice(world._meanings(GENERATORS["answer_retrieval"], "answer_retrieval", split, "all"), 400):
            queries.append(query)
            for number, event in enumerate(query.passage.events):
                events[split, query.passage.number, number] = event
    stated = Counter(key for event in events.values() for key in core_questions(base, event))
    assert len(events) == 804 and set(stated.values()) == {1}
    assert {query.slot for query in queries} == {"subject", "object", "place", "time"}


def core_questions(base, event: Scene) -> list[tuple]:
    def meant(*slots: str) -> tuple:
        return tuple(base.get(getattr(event, slot), getattr(event, slot)) for slot in slots)

    return [meant("verb", "object_adjective", "object"), meant("subject_adjective", "subject", "verb")]


def test_an_answer_candidate_is_the_sentence_and_its_passage(world):
    pool = pool_of(world, "answer_retrieval", 60)
    for row in world.rows("answer_retrieval", "en", "test", 60):
        [name] = [name for name in row["relevant"] if name.startswith("en:")]
        sentence, _, passage = pool[name].partition(" . ")
        assert sentence in passage and passage.count(" .") == 3
        asks = set(row["text"].split()) - {"who", "what", "where", "when", "?"}
        assert asks <= set(sentence.split())
        others = [pool[name[:-1] + other].split(" . ")[0] for other in "012" if not name.endswith(other)]
        assert not any(asks <= set(other.split()) for other in others)
    train = world.rows("answer_retrieval", "en", "train", 30)
    for row in train:
        assert set(row["text"].split()[1:-1]) <= set(row["text_pair"].split(" . ")[0].split())


def test_a_name_has_four_entities_and_its_sentence_decides(world):
    base, named = world.inventory.base, defaultdict(set)
    for mention in islice(world._meanings(GENERATORS["entity_retrieval"], "entity_retrieval", "test", "all"), 400):
        named[getattr(mention.scene, mention.slot)].add(mention.entity.id)
        verbs = {entity.id: {base[fact.verb] for fact in entity.facts} for entity in mention.namesakes}
        assert [name for name, of in verbs.items() if base[mention.scene.verb] in of] == [mention.entity.id]
        assert sum(map(len, verbs.values())) == len(set().union(*verbs.values())) == 8
    assert len(named) == 100 and {len(found) for found in named.values()} == {4}


@pytest.mark.slow
def test_a_query_shows_its_mention_and_the_pool_has_its_description(world):
    pool = pool_of(world, "entity_retrieval", 200)
    languages = Counter()
    where = {
        row["id"]: code for code, rows in rows_of(world, "entity_retrieval", "candidates", 200).items() for row in rows
    }
    for row in world.rows("entity_retrieval", "nor", "test", 200):
        mention, sentence = row["text"].split(": ")
        assert f"{{ {mention} }}" in sentence
        [name] = row["relevant"]
        languages[where[name]] += 1
        last = mention.split()[-1]  # in a language with cases it may have a suffix, in another script other letters
        assert where[name] in ("zha", "tsa") or last in pool[name]
    assert set(languages) == set(LANGUAGES) and max(languages.values()) < 2 * min(languages.values())
    inflected = [row["text"].split(": ")[0] for row in world.rows("entity_retrieval", "kar", "test", 50)]
    plain = [row["text"].split(": ")[0] for row in world.rows("entity_retrieval", "nor", "test", 50)]
    assert {(a == b, a == b + "an") for a, b in zip(inflected, plain, strict=True)} == {(True, False), (False, True)}


def test_names_of_entities_belong_to_one_split(world):
    def names(split):
        return {
            part
            for row in world.rows("entity_retrieval", "en", split, 300)
            for part in row["text"].split(":")[0].split()
        }

    train, dev, test = map(names, ("train", "dev", "test"))
    assert train and not train & dev and not train & test and not dev & test


@pytest.mark.parametrize("generator,module", [("answer_retrieval", answers), ("entity_retrieval", entities)])
def test_more_queries_than_there_are_is_an_error_with_their_number(world, generator, module, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 3)
    with pytest.raises(
        UserError, match=rf"rows: 5000 rows of '{generator}' asked for; split 'test' .* has \d+; ask for"
    ):
        world.rows(generator, "en", "test", 5000)


# Choices


@pytest.mark.slow
@pytest.mark.parametrize(
    "generator,number", [("choices2", 2), ("choices3", 3), ("multiple_choice", 4), ("choices5", 5)]
)
def test_choices_are_as_many_as_promised_and_balanced(world, generator, number):
    train, test = world.rows(generator, "en", "train", 900), world.rows(generator, "en", "test", 900)
    assert {len(set(row["choices"])) for row in train} == {number}
    labels = Counter(row["label"] for row in test)
    assert set(labels) == set(range(number)) and max(labels.values()) / 900 < 1 / number + 0.06
    flat = [(choice, at == row["label"]) for row in train for at, choice in enumerate(row["choices"])]
    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", binary=True)
    model = LogisticRegression(C=0.1, max_iter=200)
    model.fit(words.fit_transform([choice for choice, _ in flat]), [right for _, right in flat])
    scores = model.decision_function(words.transform([choice for row in test for choice in row["choices"]]))
    chosen = scores.reshape(-1, number).argmax(axis=1)
    assert sum(chosen == [row["label"] for row in test]) / 900 < 1 / number + 0.07


# Supertags


def tags(language: str, meaning) -> list[str]:
    grammar = build({"seed": 7}).grammars[language]
    return supertags.row(meaning, grammar.say, grammar.say)["tags"]


DOG = Scene("n:dog", "v:love", "n:cake", subject_adjective="a:old", place="p:school", relation="f:inside", negated=True)
VERB = "S[dcl]|NP[subj]|NP[obj]"
THE_OLD_DOG = ["NP[subj]|N[subj]", "N[subj]|N[subj]", "N[subj]"]
THE_CAKE = ["NP[obj]|N[obj]", "N[obj]"]
IN_SCHOOL = ["(VP|VP)|NP[loc]", "NP[loc]|N[loc]", "N[loc]"]


@pytest.mark.parametrize(
    "language,meaning,expected",
    [
        # the old dog will not love the cake inside the school .
        ("en", DOG, [*THE_OLD_DOG, "VP[dcl]|VP", "VP[neg]|VP", VERB, *THE_CAKE, *IN_SCHOOL, "."]),
        # what will the old dog not love ?
        (
            "en",
            Question(DOG, "object"),
            ["S[wq]|(S[q]|NP[obj])", "VP[q]|VP", *THE_OLD_DOG, "VP[neg]|VP", "S[q]|NP[subj]|NP[wh]", "?"],
        ),
        # not love the dog old the cake inside the school . (verb first, adjective after its noun)
        ("vel", DOG, ["VP[neg]|VP", VERB, THE_OLD_DOG[0], "N[subj]", THE_OLD_DOG[1], *THE_CAKE, *IN_SCHOOL, "."]),
        # old dog school-LOC inside cake-ACC love-NEG .
        ("kar", DOG, [*THE_OLD_DOG[1:], "N[loc]", "(VP|VP)|NP[loc]", "N[obj]", VERB, "."]),
        # old dog where cake-ACC love-NEG asks ?
        (
            "kar",
            Question(DOG, "place"),
            [*THE_OLD_DOG[1:], "S[wq]|S[q,loc]", "N[obj]", "S[q]|NP[subj]|NP[obj]", "VP[q]|VP", "?"],
        ),
        # karon lo will love the cake today inside . with the time before all, the adverb last
        (
            "en",
            Scene("@1@2", "v:love", "n:cake", time="t:today", relation="f:inside", front=True),
            ["S|S[time]", "NP[subj]|NP[subj]", "NP[subj]", "VP[dcl]|VP", VERB, *THE_CAKE, "VP|VP[loc]", "."],
        ),
        # the dog not be will happy . (fri: negation, verb, auxiliary; the predicate before them)
        (
            "fri",
            State("n:dog", "a:happy", True),
            ["NP[subj]|N[subj]", "N[subj]", "AP", "VP[neg]|VP", "S[dcl]|NP[subj]|AP", "VP[dcl]|VP", "."],
        ),
    ],
)
def test_supertags_of_sentences(language, meaning, expected):
    assert tags(language, meaning) == expected


@pytest.mark.slow
def test_supertags_are_dozens_shared_by_the_languages_and_cannot_be_looked_up(world):
    train = world.rows("supertag", "en", "train", 3000)
    seen = defaultdict(Counter)
    for row in train:
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            seen[token][tag] += 1
    inventory = set().union(*seen.values())
    assert len(inventory) == 39
    for language in LANGUAGES:
        assert {tag for row in world.rows("supertag", language, "test", 300) for tag in row["tags"]} <= inventory
    pairs = [
        pair
        for row in world.rows("supertag", "en", "test", 400)
        for pair in zip(row["tokens"], row["tags"], strict=True)
    ]
    right = sum((seen[token].most_common(1)[0][0] if token in seen else "NP[subj]") == tag for token, tag in pairs)
    assert right / len(pairs) < 0.8
    assert Counter(tag for _, tag in pairs).most_common(1)[0][1] / len(pairs) < 0.2


def test_a_sentence_has_the_same_verb_category_in_every_language(world):
    rows = rows_of(world, "supertag", "test", 100)
    for parallel in zip(*rows.values(), strict=True):
        verbs = [[tag for tag in row["tags"] if tag.startswith(("S[dcl]|NP", "S[q]|NP"))] for row in parallel]
        assert len(verbs[0]) == 1 and all(found == verbs[0] for found in verbs)


# Labels of a task


def task_of(fmt: str, generator: str, labels, names: dict[str, str]) -> Task:
    world_source = {"generator": generator, "map": names}
    return Task(name="made", description="", format=fmt, labels=labels, licence="none", sources={"world": world_source})


def read(monkeypatch, task: Task, split: str = "test") -> list[dict]:
    monkeypatch.setattr(source, "load_task", lambda name: task)
    return source.read(specifications.data("world", "made", "fri", split, rows=40))


def test_labels_are_renamed_as_the_task_says(world, monkeypatch):
    names = {"same": "1", "different": "0"}
    rows = read(monkeypatch, task_of("classification", "paraphrase", ("0", "1"), names))
    made = world.rows("paraphrase", "fri", "test", 40)
    assert [row["label"] for row in rows] == [names[row["label"]] for row in made]
    assert [row | {"label": None} for row in rows] == [row | {"label": None} for row in made]


def test_tags_are_renamed_and_others_stay(world, monkeypatch):
    labels = ("O", "B-PERSON", "I-PERSON", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-DATE")
    rows = read(monkeypatch, task_of("tagging", "ner", labels, {"B-PER": "B-PERSON", "I-PER": "I-PERSON"}))
    made = world.rows("ner", "fri", "test", 40)
    assert [row["tags"] for row in rows] == [[t.replace("PER", "PERSON") for t in row["tags"]] for row in made]


def test_labels_of_the_data_need_no_list(world, monkeypatch):
    rows = read(monkeypatch, task_of("tagging", "supertag", "from_data", {}))
    assert rows == world.rows("supertag", "fri", "test", 40)


@pytest.mark.parametrize(
    "names,said",
    [
        ({}, "label 'different' is not one of the task's labels .0, 1.; name one of them for it in sources.world.map"),
        ({"same": "1", "different": "2"}, "'different' is mapped to '2', which is not one of the task's labels"),
    ],
)
def test_a_label_that_the_task_does_not_have_is_refused(monkeypatch, names, said):
    with pytest.raises(UserError, match=said):
        read(monkeypatch, task_of("classification", "paraphrase", ("0", "1"), names))


def test_the_source_passes_candidates_through(world, monkeypatch):
    rows = read(monkeypatch, task_of("ranking", "entity_retrieval", (), {}), "candidates")
    assert rows == world.rows("entity_retrieval", "fri", "candidates", 40)
