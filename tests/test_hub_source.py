"""Source `hub`, dataset repositories: real column names against a stand-in of the hub, the lock file, bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, List, Value

from hub_server import HubServer
from intermezzo import sources
from intermezzo.core.errors import UserError
from intermezzo.sources import hub as hub_source
from intermezzo.tasks import Task, layout
from specifications import data

NLI = ("entailment", "neutral", "contradiction")
XNLI = {
    "repository": "facebook/xnli",
    "files": "{code}/test-*.parquet",
    "fields": {"text": "premise", "text_pair": "hypothesis", "label": "label"},
    "map": dict(enumerate(NLI)),
}
NER = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
TEXT = Value("string")


def parquet(rows, features):
    """A Parquet file as `datasets` writes it, with the names of labels in its metadata."""
    sink = pa.BufferOutputStream()
    Dataset.from_list(rows, features=Features(features)).to_parquet(sink)
    return sink.getvalue().to_pybytes()


def xnli(labels, names=NLI):
    rows = [{"premise": f"P{i}.", "hypothesis": f"H{i}.", "label": label} for i, label in enumerate(labels)]
    return parquet(rows, {"premise": TEXT, "hypothesis": TEXT, "label": ClassLabel(names=list(names))})


def each(part, language, split):
    return {"each": [{"languages": [language], "splits": {split: split}, "part": part}]}


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture
def read(hub, tmp_path, monkeypatch):
    """read(parts, fmt=..., ...) -> rows: the parts as a task of the hub, in a working directory of its own."""
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def read(parts, fmt="classification", labels=NLI, language="sw", split="test", **options):
        parts = [layout.expand(each(part, language, split))["data"][language][split][0] for part in parts]
        published = {"hub": {"data": {language: {split: parts}}}}
        fields = {"name": "toy", "description": "toy", "licence": "none", "sources": published}
        task = Task(format=fmt, labels=labels, **fields, **options)
        monkeypatch.setattr(hub_source, "load_task", lambda name: task)
        return sources.read(data("hub", "toy", language, split, parts=parts))

    return read


def locked():
    return yaml.safe_load(Path("config/data.lock.yaml").read_text())


def relock(change):
    """Edit the lock file by hand."""
    content = locked()
    change(content["repositories"]["facebook/xnli"])
    Path("config/data.lock.yaml").write_text(yaml.safe_dump(content))


def test_reads_xnli_and_locks_it(hub, read):
    hub.commit("facebook/xnli", {"sw/test-00000-of-00002.parquet": xnli([0, 1]), "README.md": b"# XNLI"})
    commit = hub.commit(
        "facebook/xnli",
        {
            "sw/test-00000-of-00002.parquet": xnli([0, 1]),
            "sw/test-00001-of-00002.parquet": xnli([2]),
            "sw/validation-00000-of-00001.parquet": xnli([2, 2]),
            "fr/test-00000-of-00001.parquet": xnli([1]),
            "README.md": b"# XNLI",
        },
    )
    rows = read([XNLI])
    assert [row["label"] for row in rows] == ["entailment", "neutral", "contradiction"]
    assert rows[2] == {
        "id": "sw/test-00001-of-00002.parquet:0",
        "text": "P0.",
        "text_pair": "H0.",
        "label": "contradiction",
    }
    entry = locked()["repositories"]["facebook/xnli"]["main"]
    assert entry["commit"] == commit
    assert entry["patterns"] == {"sw/test-*.parquet": 2}
    assert entry["rows"] == {"toy": {"sw": {"test": 3}}}
    assert {name: file["bytes"] for name, file in entry["files"].items()} == {
        "sw/test-00000-of-00002.parquet": len(xnli([0, 1])),
        "sw/test-00001-of-00002.parquet": len(xnli([2])),
    }
    text = Path("config/data.lock.yaml").read_text()
    assert text.startswith("# What intermezzo downloaded")
    assert "sw/test-00001-of-00002.parquet: {bytes:" in text
    read([XNLI], language="fr")
    assert list(locked()["repositories"]["facebook/xnli"]["main"]["rows"]["toy"]) == ["fr", "sw"]


def test_reads_the_columns_of_published_repositories(hub, read):
    """Names and types of columns as those repositories have them."""
    answers = {"text": List(TEXT), "answer_start": List(Value("int32"))}
    xquad = {"id": "1", "context": "Ana ishi Lima.", "question": "Wapi?", "title": ""}
    hub.commit(
        "google/xtreme",
        {
            "XQuAD.sw/validation-00000-of-00001.parquet": parquet(
                [xquad | {"answers": {"text": ["Lima"], "answer_start": [9]}}],
                dict.fromkeys(("id", "context", "question", "title"), TEXT) | {"answers": answers},
            )
        },
    )
    part = {
        "repository": "google/xtreme",
        "files": "XQuAD.sw/validation-*.parquet",
        "fields": {
            "id": "id",
            "context": "context",
            "question": "question",
            "answers": "answers.text",
            "answer_starts": "answers.answer_start",
        },
    }
    assert read([part], "span", ()) == [
        {
            "id": "1",
            "context": "Ana ishi Lima.",
            "question": "Wapi?",
            "answers": ["Lima"],
            "answer_starts": [9],
        }
    ]
    wikiann = {"tokens": ["Ana", "wa", "Lima"], "ner_tags": [1, 0, 5], "langs": ["sw"] * 3, "spans": ["PER: Ana"]}
    features = {"tokens": List(TEXT), "ner_tags": List(ClassLabel(names=list(NER)))}
    hub.commit(
        "unimelb-nlp/wikiann",
        {"sw/test-00000-of-00001.parquet": parquet([wikiann], features | {"langs": List(TEXT), "spans": List(TEXT)})},
    )
    part = {
        "repository": "unimelb-nlp/wikiann",
        "files": "sw/test-*.parquet",
        "fields": {"tokens": "tokens", "tags": "ner_tags"},
        "map": dict(enumerate(NER)),
    }
    assert read([part], "tagging", NER)[0]["tags"] == ["B-PER", "O", "B-LOC"]
    names = ("id", "context", "question", *(f"answer{i}" for i in range(4)))
    cosmos = dict(zip(names, ("a", "C.", "Q?", "A", "B", "C", "D"), strict=True)) | {"label": 3}
    converted = parquet([cosmos], dict.fromkeys(names, TEXT) | {"label": Value("int32")})
    hub.commit("allenai/cosmos_qa", {"cosmos_qa.py": b"raise SystemExit('remote code')"})
    commit = hub.commit("allenai/cosmos_qa", {"default/train/0000.parquet": converted}, "refs/convert/parquet")
    part = {
        "repository": "allenai/cosmos_qa",
        "revision": "refs/convert/parquet",
        "files": "default/train/*.parquet",
        "fields": {name: name for name in ("id", "context", "question", "label")}
        | {"choices": [f"answer{i}" for i in range(4)]},
    }
    assert read([part], "multiple_choice", (), split="train")[0]["choices"] == ["A", "B", "C", "D"]
    assert locked()["repositories"]["allenai/cosmos_qa"]["refs/convert/parquet"]["commit"] == commit


def test_what_is_locked_and_cached_needs_no_request(hub, read):
    hub.commit("facebook/xnli", {"sw/test.parquet": xnli([0, 1])})
    first = read([XNLI | {"files": "sw/*.parquet"}])
    asked, before = len(hub.requests), Path("config/data.lock.yaml").read_bytes()
    assert read([XNLI | {"files": "sw/*.parquet"}]) == first
    assert len(hub.requests) == asked
    hub.stop()
    assert read([XNLI | {"files": "sw/*.parquet"}]) == first
    assert Path("config/data.lock.yaml").read_bytes() == before


def test_a_branch_that_moves_on_stays_at_its_locked_commit(hub, read, tmp_path):
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1]), "fr/test-0.parquet": xnli([1])})
    first = read([XNLI])
    moved = hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([2]), "fr/test-0.parquet": xnli([2])})
    (tmp_path / "cache").rename(tmp_path / "old cache")  # download it again
    assert read([XNLI]) == first
    assert read([XNLI], language="fr")[0]["label"] == "neutral"  # never read before, and at the same commit
    assert moved not in Path("config/data.lock.yaml").read_text()


def test_another_revision_in_the_task_file_stops_with_both(hub, read):
    old = hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    read([XNLI])
    assert read([XNLI | {"revision": old}])  # another name of the same commit
    new = hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([2, 1])})
    before = locked()
    with pytest.raises(UserError, match=f"commit {new}, but config/data.lock.yaml has commit {old}.*'repositories"):
        read([XNLI | {"revision": new}])
    assert locked() == before
    relock(lambda revisions: [entry["rows"].pop("toy") for entry in revisions.values()])
    assert read([XNLI | {"revision": new}])[0]["label"] == "contradiction"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: r["main"]["files"]["sw/test-0.parquet"].update(sha256="0" * 64),
            r"sw/test-0.parquet has sha256 [0-9a-f]{64} .*, but the lock file says sha256 0{64} .*; to accept it, del",
        ),
        (
            lambda r: r["main"]["files"]["sw/test-0.parquet"].update(bytes=7),
            r"\([0-9]{4} bytes\), but the lock file says sha256 [0-9a-f]{64} \(7 bytes\); if .* is damaged, delete it",
        ),
        (
            lambda r: r["main"]["rows"]["toy"]["sw"].update(test=5010),
            "main > rows > toy > sw > test' is 5010 in .*, but 2 now; to accept that, delete .*rows > toy > sw > test'",
        ),
    ],
)
def test_what_differs_from_the_lock_stops_with_both_values(change, message, hub, read):
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    read([XNLI])
    relock(change)
    before = locked()
    with pytest.raises(UserError, match=message):
        read([XNLI])
    assert locked() == before


def test_a_damaged_file_of_the_cache_stops_and_can_be_had_again(hub, read, tmp_path):
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    read([XNLI])
    (blob,) = (path for path in (tmp_path / "cache").rglob("blobs/*") if path.is_file())
    blob.write_bytes(xnli([2, 2]))
    with pytest.raises(UserError, match=f"if {blob} is damaged, delete it and run again"):
        read([XNLI])
    blob.unlink()
    assert read([XNLI])[0]["label"] == "entailment"


def test_a_locked_commit_that_upstream_lost(hub, read, tmp_path):
    old = hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    read([XNLI])
    (tmp_path / "cache").rename(tmp_path / "old cache")
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([1])})
    hub.forget("facebook/xnli", old)
    with pytest.raises(UserError, match=f"does not have the locked commit {old} any more.*delete 'repositories > face"):
        read([XNLI])
    relock(lambda revisions: revisions.pop("main"))
    assert len(read([XNLI])) == 1


def nothing_is_left(tmp_path):
    data = [path for path in (tmp_path / "cache").rglob("*.parquet") if path.exists()]
    return not data and not Path("config/data.lock.yaml").exists()


def _missing(hub):
    hub.trees.clear()


def _gated(hub):
    hub.gated.add("facebook/xnli")


def _damaged(hub):
    right = xnli([0, 1])
    hub.damaged["facebook/xnli", "sw/test-0.parquet"] = right[:-9] + b"!" + right[-8:]


def _cut(hub):
    hub.damaged["facebook/xnli", "sw/test-0.parquet"] = xnli([0, 1])[:-100]


def _empty(hub):
    hub.commit("facebook/xnli", {"sw/test-0.parquet": b""})


def _script(hub):
    hub.commit("facebook/xnli", {"xnli.py": b"raise SystemExit('remote code')", "README.md": b""})


def _gone(hub):
    hub.stop()


@pytest.mark.parametrize("fault", [_damaged, _cut])
def test_a_damaged_download_is_not_taken_for_the_file_later(fault, hub, read, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    fault(hub)
    for _ in range(2):
        with pytest.raises(UserError):
            read([XNLI])
    hub.damaged.clear()
    assert len(read([XNLI])) == 2


@pytest.mark.parametrize(
    ("fault", "change", "message"),
    [
        (_missing, {}, "facebook/xnli, revision main: there is no such dataset repository on the hub, or it is"),
        (_gated, {}, r"on request only \(the hub says: Access to .* restricted\); accept its terms at .*xnli and log"),
        (_damaged, {}, "sw/test-0.parquet: damaged on its way: [0-9]+ bytes, SHA-256 [0-9a-f]{64}; the hub says"),
        (_cut, {}, r"cannot be downloaded .* (Consistency check failed|should be of size)"),
        (_empty, {}, "facebook/xnli, commit [0-9a-f]{40}: the file sw/test-0.parquet is empty on the hub"),
        (_script, {}, r"the repository holds README.md, xnli.py; xnli.py is a loading script, which is never run; "),
        (_gone, {}, "facebook/xnli, revision main: cannot be downloaded .*refused.*; check the network, HF_ENDPOINT"),
        (None, {"revision": "v9"}, "revision v9: the repository has no such revision"),
        (None, {"files": "sw/dev*"}, r"no file matches 'sw/dev\*'; the repository holds fr/test-0.parquet, sw/test"),
        (None, {"files": None}, "files is None, expected text"),
        (None, {"revision": 7}, "revision is 7, expected text"),
        (None, {"url": "https://example.org"}, "a part needs either 'repository' .* or 'url'; found repository, files"),
        (None, {"member": "a"}, "'member' does not go with 'repository'; allowed: repository, revision, files"),
        (None, {"map": {0: "neutral", 1: "entailment"}}, "its labels are 0 = entailment.*task says 0 = neutral"),
        (None, {"rows": 3}, "2 rows, expected 3"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_leaves_nothing(fault, change, message, hub, read, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the attempts of the hub's client
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1]), "fr/test-0.parquet": xnli([2])})
    if fault:
        fault(hub)
    with pytest.raises(UserError, match=message) as caught:
        read([XNLI | change])
    if "map" not in change and "rows" not in change:  # errors of source `files`, which name the file
        assert "toy.yaml: sources." in str(caught.value)
        assert nothing_is_left(tmp_path)
    assert not Path("config/data.lock.yaml").exists()


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited for, without waiting."""
    seconds = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("refusal", [(429, {"Retry_After": 0}), (503, {}), (429, {"RateLimit": '"api";r=0;t=3'}), None])
def test_a_busy_hub_is_waited_for_on_every_request(refusal, hub, read, waits):
    """Metadata of the repository, its listing, headers and content of its files."""
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    hub.busy, hub.refusal = 2, refusal
    assert len(read([XNLI])) == 2
    assert {request.split()[0] for request in hub.refused} == {"GET", "HEAD"}
    assert min(hub.refused.values()) == 3  # two refusals and the answer
    assert waits
    assert max(waits) < 50


def test_a_hub_that_stays_busy_ends_in_its_own_words(hub, read, waits):
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    hub.busy, hub.refusal = 100, (429, {"RateLimit": '"api";r=0;t=17', "RateLimit_Policy": '"fixed";"api";q=500;w=300'})
    message = (
        r"you have reached your 'api' rate limit. Retry after 17 seconds .*, 6 times; run again later; .* HF_TOKEN"
    )
    with pytest.raises(UserError, match=message):
        read([XNLI])
    assert waits == [17.0] * 5
    hub.refusal = (429, {"Retry_After": 4000})
    with pytest.raises(UserError, match=r"429 Too Many Requests.*; it asks to come back in 67 minutes \(20.*run again"):
        read([XNLI])
    assert len(waits) == 5  # nothing is waited for that long


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((401, {"X_Error_Message": "Invalid credentials in Authorization header"}), "Invalid cred.*correct the token"),
        ((403, {"X_Error_Message": "You may not"}), "You may not.*; use a token that may read it"),
        ((418, {}), "418.*slow down.*correct the task file"),
    ],
)
def test_refusals_keep_the_hubs_words_and_name_the_mend(refusal, message, hub, read, waits):
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    hub.busy, hub.refusal = 100, refusal
    with pytest.raises(UserError, match=message):
        read([XNLI])
    assert waits == []
    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("CAS Client Error: error sending request"), "CAS Client Error.*; .*HF_HUB_DISABLE_XET=1 takes"),
        (RuntimeError("Data processing error: Permission denied (os error 13)"), "cache .* cannot be written.*HF_HOME"),
    ],
)
def test_failures_of_the_store_and_the_cache_name_their_mend(error, message, hub, read, monkeypatch):
    def download(*_, **__):
        raise error

    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(UserError, match=message):
        read([XNLI])


def test_a_commit_is_listed_once(hub, read):
    hub.commit("facebook/xnli", {f"{code}/test-0.parquet": xnli([0]) for code in ("fr", "sw", "ur")})
    for code in ("sw", "ur", "fr"):
        read([XNLI], language=code)
    listed = [request for request in hub.requests if "/tree/" in request and "cursor" not in request]
    assert len(listed) == 1
    (listing,) = Path("results/.downloads/listings").glob("*.json")
    listing.write_text(listing.read_text().replace("sw/test", "sw/past"))  # a changed list is no list
    relock(lambda revisions: revisions.pop("main"))
    assert len(read([XNLI])) == 1


def test_an_error_of_the_program_is_no_problem_of_the_network(hub, read, monkeypatch):
    """It ends in a traceback, which names the line, and not in advice about the network."""
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    monkeypatch.setattr("intermezzo.sources.hub.repository.matching", lambda names, pattern: names.no_such_attribute)
    with pytest.raises(AttributeError, match="no_such_attribute"):
        read([XNLI])


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), MemoryError(), FileNotFoundError(2, "x"), RecursionError()]
)
def test_neither_is_an_error_of_the_machine(error, hub, read, monkeypatch):
    def download(*_, **__):
        raise error

    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(type(error)):
        read([XNLI])


@pytest.mark.parametrize("endpoint", ["hub.example.org", "https://hub.example.org:port"])
def test_an_endpoint_that_is_no_address(endpoint, hub, read, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(UserError, match=f"HF_ENDPOINT: '{endpoint}' is no address"):
        read([XNLI])


def test_a_reply_that_is_no_json(hub, read, monkeypatch):
    """A login page of the network answers in place of the hub."""
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0, 1])})
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: json.loads("<html>"))
    with pytest.raises(UserError, match=r"cannot be downloaded \(JSONDecodeError"):
        read([XNLI])


def test_reordered_labels_do_not_pass(hub, read):
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0], names=("contradiction", "neutral", "entailment"))})
    with pytest.raises(
        UserError, match=r"0 = contradiction, 1 = neutral, 2 = entailment.* says 0 = entailment, 1 = neut"
    ):
        read([XNLI])


@pytest.mark.parametrize(
    "text", ["a: [", "repositories: {x: {main: {commit: 12}}}", "urls: {x: {bytes: 1}}", "files: {}"]
)
def test_a_broken_lock_file_is_named(text, hub, read):
    Path("config").mkdir()
    Path("config/data.lock.yaml").write_text(text)
    hub.commit("facebook/xnli", {"sw/test-0.parquet": xnli([0])})
    with pytest.raises(UserError, match=r"config/data.lock.yaml: not a valid lock file"):
        read([XNLI])


@pytest.mark.slow
def test_many_processes_lock_together(hub, tmp_path):
    """A process per language in the real environment: HF_ENDPOINT and HF_HOME, then HF_HUB_OFFLINE."""
    codes = ("sw", "fr", "ur")
    hub.commit("facebook/xnli", {f"{code}/test-0.parquet": xnli([0, 1]) for code in codes})
    folder = tmp_path / "config" / "tasks"
    folder.mkdir(parents=True)
    each = [{"languages": list(codes), "splits": {"test": "test"}, "part": XNLI, "rows": {"test": 2}}]
    task = {"description": "x", "format": "classification", "labels": list(NLI), "metrics": ["accuracy"]}
    task |= {"licence": "none", "skill": "nli", "sources": {"hub": {"each": each}}}
    (folder / "own.yaml").write_text(yaml.safe_dump(task))
    code = (
        "import sys; from intermezzo import sources; from specifications import data;"
        "print(len(sources.read(data('hub', 'own', sys.argv[1], 'test', downloads='d'))))"
    )
    source = os.pathsep.join(str(Path(__file__).parents[1] / name) for name in ("src", "tests"))
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": source}

    def run(more):
        jobs = [
            subprocess.Popen(
                [sys.executable, "-c", code, language],
                cwd=tmp_path,
                env=environment | more,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for language in codes
        ]
        return [job.communicate() for job in jobs]

    assert [out for out, _ in run({"HF_HUB_OFFLINE": "0"})] == ["2\n"] * 3
    content = yaml.safe_load((tmp_path / "config" / "data.lock.yaml").read_text())
    assert content["repositories"]["facebook/xnli"]["main"]["rows"] == {
        "own": {code: {"test": 2} for code in sorted(codes)}
    }
    hub.stop()
    assert [out for out, _ in run({"HF_HUB_OFFLINE": "1"})] == ["2\n"] * 3


def test_pages_of_a_listing_are_followed(hub, read):
    hub.commit("facebook/xnli", {f"sw/test-{i}.parquet": xnli([i % 3]) for i in range(9)})
    assert len(read([XNLI])) == 9


def test_the_stand_in_serves_a_folder_of_repositories(tmp_path):
    (tmp_path / "masakhane" / "afrixnli" / "data").mkdir(parents=True)
    (tmp_path / "masakhane" / "afrixnli" / "data" / "test.tsv").write_text("premise\thypothesis\n")
    with HubServer(tmp_path) as server:
        api = huggingface_hub.HfApi(endpoint=server.endpoint)
        assert api.list_repo_files("masakhane/afrixnli", repo_type="dataset") == ["data/test.tsv"]


def test_parquet_fixtures_carry_label_names():
    assert (
        ClassLabel(names=list(NLI)) == Features.from_arrow_schema(pq.read_schema(pa.BufferReader(xnli([0]))))["label"]
    )
