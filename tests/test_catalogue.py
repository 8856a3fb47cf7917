"""The catalogue: every task file is complete and sane, reaches every published dataset, and says what is wrong."""

import os
import re
from pathlib import Path

import pytest
import yaml

from intermezzo import sources, tasks
from intermezzo.cli.main import main
from intermezzo.config import load, task_files
from intermezzo.config.settings import resolve
from intermezzo.core.errors import UserError
from intermezzo.sources import files
from intermezzo.sources.files.reading import File
from intermezzo.tasks import RESOURCES, Task, load_task, task_names
from specifications import data
from toy_files import REVIEWS

NAMES = task_names()
PARTS = [
    (name, source, language, split, part)
    for name in NAMES
    for source in ("files", "hub")
    for language, splits in load_task(name).sources.parts(source).items()
    for split, parts in splits.items()
    for part in parts
]
LOCATING = {"path", "repository", "revision", "files", "url", "sha256", "member", "otherwise"}
NOT_READ = {
    "mafand-mt/en-swa/test.json": "no task: the development set is text and parallel text",
    "ud/UD_English-EWT/en_ewt-ud-train.conllu": "an eighth of en-ewt-2col/train.txt, which is read",
}
OTHER_COUNTS = {"udhr": "paragraphs of articles that have as many in English, without the preamble"}


# -- task files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_task_file_is_complete(name):
    task = load_task(name)
    assert task.description.strip() and task.citation.strip() and task.licence.strip()
    assert task.sources.world or task.sources.parts("files") or task.sources.parts("hub")
    assert not [*task_files.problems_of(task)]


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_can_be_followed(name):
    protocol = load_task(name).protocol
    for trained in protocol.train:
        assert load_task(name).form.trained
        assert set(load_task(trained).labels) <= set(load_task(name).labels)
    assert not protocol.retrieval or protocol.direction


def test_a_protocol_has_one_name_everywhere():
    named = {key for name in NAMES for key in (*load_task(name).protocol.settings, *load_task(name).protocol.retrieval)}
    assert named == {"phang2020", "xtreme", "xtreme-r"}


def test_parts_have_known_readers_and_options_and_say_where_they_are(tmp_path):
    for name, source, language, split, part in PARTS:
        located = LOCATING & set(part)
        assert located >= ({"path"} if source == "files" else {"repository", "files"}) or located == {
            *("url", "sha256"),
            *(key for key in ("member", "otherwise") if key in part),
        }, (name, language, split)
        assert split in ("train", "dev", "test", "candidates")
        options = {"reader": "parquet"} | {key: value for key, value in part.items() if key not in LOCATING}
        with pytest.raises(UserError) as caught:  # of files that are not there, not of anything in the task file
            files.read_part(
                load_task(name), options, [File(tmp_path, f"x.{i}") for i in ("en", "gold", "de")], "TASKFILE"
            )
        assert "TASKFILE" not in str(caught.value), (name, language, split, str(caught.value))


def test_maps_lead_to_labels():
    for name, _, language, split, part in PARTS:
        task, names = load_task(name), part.get("map")
        if not names:
            continue
        numbers = sorted(key for key in names if type(key) is int)
        assert numbers == list(range(len(numbers))), (name, language, split)
        if task.format == "multiple_choice":
            assert sorted(names.values()) == list(range(len(names)))
        else:
            assert set(names.values()) <= set(task.labels), (name, language, split)
            assert not numbers or set(names.values()) == set(task.labels)


def test_urls_are_https_and_sums_are_sha256():
    for name, _, _, _, part in PARTS:
        if "url" in part:
            assert re.fullmatch(r"https://[\w./+-]+", part["url"]), (name, part["url"])
            assert part["sha256"] is None or re.fullmatch(r"[0-9a-f]{64}", part["sha256"])
        if "repository" in part:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", part["repository"])


def codes(text):
    return set(text.split())


def test_languages_of_the_benchmarks():
    def evaluated(name):
        return set(load_task(name).languages("hub", "test"))

    xtreme = codes(
        "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr"
        " ur vi yo zh"
    )
    assert evaluated("xnli") == codes("ar bg de el en es fr hi ru sw th tr ur vi zh")
    assert evaluated("pawsx") == codes("de en es fr ja ko zh")
    assert evaluated("panx") == xtreme | codes("az gu lt pa pl qu ro uk")
    assert evaluated("udpos") == xtreme - codes("bn jv ka ml ms my sw") | codes("lt pl ro uk wo")
    assert evaluated("xquad") == codes("ar de el en es hi ro ru th tr vi zh")
    assert evaluated("mlqa") == codes("ar de en es hi vi zh")
    assert evaluated("tydiqa") == codes("ar bn en fi id ko ru sw te")
    assert evaluated("bucc2018") == codes("de fr ru zh")
    assert evaluated("tatoeba") == xtreme - codes("en ms my yo") | codes("az lt pl ro uk")
    assert evaluated("xcopa") == codes("et ht id it qu sw ta th tr vi zh")
    assert evaluated("lareqa") == codes("ar de el en es hi ru th tr vi zh")
    assert evaluated("mewslix") == codes("ar de en es fa ja pl ro ta tr uk")
    assert load_task("mewslix").languages("hub", "candidates") == ("mul",)
    assert load_task("tydiqa").sources.parts("hub")["en"]["train"][0]["only"] == "^english-"


# -- published data -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root():
    path = os.environ.get("INTERMEZZO_REAL_DATA")
    if not path:
        pytest.skip("INTERMEZZO_REAL_DATA is not set: no published data to read")
    return Path(path)


def test_every_published_dataset_is_reached_with_the_row_counts_of_its_table(root):
    """Each part's `rows` is checked when it is read (test_files_published); here: no file of a table is forgotten."""
    read: dict[str, set[int]] = {}
    for _, source, _, _, part in PARTS:
        if source == "files":
            paths = (
                [part["path"]]
                if "*" not in part["path"]
                else [str(p.relative_to(root)) for p in root.glob(part["path"])]
            )
            for path in [*paths, *([part["english"]] if "english" in part else [])]:
                read.setdefault(path, set()).add(part.get("rows", 0))
    checked = 0
    for readme in sorted(root.glob("*/README.md")):
        folder = readme.parent.name
        for name, count in re.findall(r"^\| (\S+) \| (\d+) \|$", readme.read_text(), flags=re.M):
            path = f"{folder}/{name}"
            if path in NOT_READ:
                assert path not in read
                continue
            assert path in read, f"{path}: no task reads it"
            assert int(count) in read[path] or folder in OTHER_COUNTS, path
            checked += 1
    assert checked > 100


@pytest.mark.slow
def test_every_relevant_candidate_of_lareqa_is_in_the_pool(root):
    def rows(language, split):
        return sources.read(data("files", "lareqa", language, split, root=str(root)))

    pool = [row["id"] for code in ("de", "en", "es", "zh") for row in rows(code, "candidates")]
    queries = rows("zh", "test") + rows("en", "dev")
    assert len(pool) == len(set(pool)) == 4867
    assert {name for row in queries for name in row["relevant"]} <= set(pool)
    assert all({name[:2] for name in row["relevant"]} == {"de", "en", "es", "zh"} for row in queries)
    trained = {row["id"] for row in rows("en", "train")}
    assert not trained & {row["id"] for row in queries}


# -- bad input: a task of one's own -------------------------------------------------------------------------------

TASK = (
    REVIEWS
    + """\
sources:
  files:
    data:
      sw:
        test: [{reader: jsonl, path: r.jsonl, fields: {id: id, text: review, text_pair: null, label: verdict}}]
"""
)
ROW = '{"id": "1", "review": "fine", "verdict": "good"}\n'


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a task of one's own and its data; gives a function that reads it."""
    caches = (tasks.task_names, tasks.load_task, tasks._files)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config" / "tasks").mkdir(parents=True)

    def read(text=TASK, rows=ROW, **changes):
        for cached in caches:
            cached.cache_clear()
        (tmp_path / "config" / "tasks" / "reviews.yaml").write_text(text)
        (tmp_path / "r.jsonl").write_text(rows)
        fields = {"source": "files", "task": "reviews", "language": "sw", "split": "test", "root": str(tmp_path)}
        return sources.read(data(**fields | changes))

    yield read
    for cached in caches:
        cached.cache_clear()


def test_a_task_of_ones_own_is_read(own):
    assert own() == [{"id": "1", "text": "fine", "text_pair": None, "label": "good"}]
    assert "reviews" in task_names()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ROW.replace("good", "fair")}, r"r\.jsonl: .*\n.*label 'fair'; allowed: good, bad"),
        ({"rows": ROW + ROW}, r"r\.jsonl: .*\n.*id '1' occurs more than once"),
        ({"rows": "\n"}, r"r\.jsonl: the file is empty"),
        ({"text": TASK.replace("}}]", '}, only: {verdict: "^no$"}}]')}, r"r\.jsonl: no rows"),
        ({"language": "yo"}, r"'reviews' has no files for language 'yo'; allowed: sw"),
        ({"split": "dev"}, r"'reviews' has no files for split 'dev' of language 'sw'; allowed: test"),
        (
            {"text": TASK.replace('licence: "reviews: CC0 1.0"\n', "")},
            r"reviews\.yaml: .*\n  licence: .*name the licence",
        ),
        ({"text": TASK.replace("format: classification", "format: sorting")}, r"reviews\.yaml: .*\n  format: "),
        (
            {"text": TASK.replace("reader: jsonl", "reader: json")},
            r"config/tasks/reviews\.yaml: .*sw\.test\[0\]: unknown",
        ),
        ({"text": TASK.replace("labels:", "label:")}, r"reviews\.yaml: .*\n  label: "),
    ],
)
def test_what_is_wrong_with_a_task_or_its_data_is_one_message(own, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        own(**changes)
    assert len(str(caught.value).splitlines()) <= 2


RETRIEVAL = """\
description: Which sentence translates which?
format: retrieval
metrics: [accuracy]
licence: "sentences: CC0 1.0"
sources: {world: {generator: retrieval}}
"""
MISFITS = {  # a task file, what is changed in it, key and message
    "an unknown metric": (
        TASK,
        "[accuracy]",
        "[acuracy]",
        "metrics: unknown metric 'acuracy' .*did you mean 'accuracy'?",
    ),
    "a field that cannot be taken away": (
        TASK,
        "metrics:",
        "partial_input: premis\nmetrics:",
        "partial_input: 'premis' cannot be taken away .*did you mean 'premise'?",
    ),
    "no labels": (TASK, "labels: [good, bad]\n", "", "labels: missing; format classification needs a list"),
    "one label": (TASK, "[good, bad]", "[good]", "labels: found good; format classification needs a list"),
    "a label twice": (TASK, "[good, bad]", "[good, bad, good]", "labels: 'good' is listed more than once"),
    "labels of a format without": (
        RETRIEVAL,
        "metrics:",
        "labels: [a, b]\nmetrics:",
        "labels: format retrieval has no labels",
    ),
    "a column of another format": (
        TASK,
        "metrics:",
        "fields: {txt: x}\nmetrics:",
        "fields: unknown column 'txt' .*'text'?",
    ),
    "a label that the map makes up": (
        TASK,
        "sources:\n",
        "sources:\n  world: {generator: nli, map: {entailment: god}}\n",
        "sources.world.map.entailment: 'god' is no label of the task; did you mean 'good'?",
    ),
    "an unknown generator": (
        TASK,
        "sources:\n",
        "sources:\n  world: {generator: nly, map: {entailment: good}}\n",
        "sources.world.generator: unknown generator 'nly'; did you mean 'nli'?",
    ),
    "an unknown setting": (
        TASK,
        "sources:",
        "protocol: {settings: {mine: {epoch: 3}}}\nsources:",
        "protocol.settings.mine: unknown key 'epoch'; did you mean 'epochs'?",
    ),
    "a setting of another type": (
        TASK,
        "sources:",
        "protocol: {settings: {mine: {batch_size: sixteen}}}\nsources:",
        "protocol.settings.mine.batch_size: must be a valid integer; found 'sixteen'",
    ),
    "an unknown setting of retrieval": (
        RETRIEVAL,
        "sources:",
        "protocol: {retrieval: {mine: {layers: 7}}}\nsources:",
        "protocol.retrieval.mine: unknown key 'layers'; did you mean 'layer'?",
    ),
    "a training task that is none": (
        TASK,
        "sources:",
        "protocol: {train: [mnly]}\nsources:",
        "protocol.train: unknown task 'mnly'; did you mean 'mnli'?",
    ),
    "a training task of another format": (
        TASK,
        "sources:",
        "protocol: {train: [squad_v1]}\nsources:",
        "protocol.train: 'squad_v1' is span; tasks of format classification are needed",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", MISFITS)
def test_a_task_file_is_checked_as_strictly_as_a_configuration(own, tmp_path, capsys, case):
    text, old, new, message = MISFITS[case]
    assert old in text
    own()
    (tmp_path / "config" / "tasks" / "reviews.yaml").write_text(text.replace(old, new, 1))
    for cached in (tasks.task_names, tasks.load_task, tasks._files):
        cached.cache_clear()
    assert main(["config", "check"]) == 2
    output = capsys.readouterr().err
    assert re.search(
        r"config/tasks/reviews\.yaml: (not a valid task file:\n +)?" + message.replace("?", "."), output
    ), output
    assert "1 problem:" in output


def test_numbers_of_a_protocol_are_read_as_those_of_a_configuration(own, tmp_path):
    """YAML reads 1e-5 as text."""
    own(TASK.replace("sources:", "protocol: {settings: {mine: {learning_rate: 1e-5, epochs: 3}}}\nsources:"))
    config = load({"training": {"protocol": "mine"}})
    settings = resolve(config, "world", "target", "reviews", ["reviews"])
    assert settings.learning_rate == 1e-5 and settings.epochs == 3


def test_a_name_of_the_catalogue_cannot_be_taken(own, tmp_path):
    (tmp_path / "config" / "tasks" / "xnli.yaml").write_text(TASK)
    with pytest.raises(UserError, match=r"xnli\.yaml: there is a task of that name already"):
        own()


def test_the_guides_treebanks_are_a_task():
    guide = (RESOURCES.parent / "docs/catalogue.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(description: Part-of-speech tagging of two.*?)```", guide, flags=re.S)
    task = Task(name="treebanks", **yaml.safe_load(text))
    url = "https://raw.githubusercontent.com/UniversalDependencies/UD_Bambara-CRB/r2.15/bm_crb-ud-test.conllu"
    assert [part["url"] for part in task.sources.parts("hub")["bm"]["test"]] == [url]
    assert list(task.sources.parts("hub")["en"]) == ["train", "dev", "test"]


@pytest.mark.parametrize(
    ("skill", "message"),
    [
        ("", r"skill: missing; tasks of format classification ask for different things: name one of nli, qa"),
        (
            "skill: sentimant\n",
            r"skill: unknown name 'sentimant'; did you mean 'sentiment'.*own:NAME is one of your own",
        ),
        ("skill: own:Dialects!\n", r"skill: unknown name 'own:Dialects!'"),
    ],
)
def test_a_task_says_what_it_asks_for(own, skill, message):
    with pytest.raises(UserError, match=message):
        own(text=TASK.replace("skill: sentiment\n", skill))


def test_a_skill_of_ones_own(own):
    own(text=TASK.replace("skill: sentiment\n", "skill: own:dialect\n"))
    assert load_task("reviews").skill == "own:dialect"


def test_skills_of_the_catalogue_are_those_of_its_formats_or_named():
    skills = {name: load_task(name).skill for name in task_names()}
    assert {skills[name] for name in ("xnli", "mnli", "anli_plus", "americasnli", "indicxnli")} == {"nli"}
    assert {skills[name] for name in ("xquad", "squad_v1", "mlqa", "tydiqa", "lareqa", "belebele")} == {"qa"}
    assert (skills["udpos"], skills["panx"], skills["tatoeba"], skills["bucc2018"]) == (
        "pos",
        "ner",
        *["retrieval"] * 2,
    )
