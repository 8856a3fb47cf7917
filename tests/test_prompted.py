"""Prompted language models: requests, backends, answers that a kill leaves, and what is refused."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from intermezzo.config import load
from intermezzo.core.errors import UserError
from intermezzo.core.yaml_files import read_yaml
from intermezzo.evaluation.prompted import answers
from intermezzo.evaluation.prompted.evaluate import evaluate
from intermezzo.evaluation.prompted.requests import Answer, Asker, Request
from intermezzo.specs.evaluation import CodeStamps
from intermezzo.specs.prompting import LocalModel, PromptSpec, ServerModel
from intermezzo.specs.tasks import TaskSpec
from intermezzo.tasks import load_task, task_names
from intermezzo.tasks.prompts import SHIPPED, prompt_for, prompt_languages
from prompted_models import causal_model, serving

LABELS = ("entailment", "neutral", "contradiction")
NLI = TaskSpec(name="nli", format="classification", labels=LABELS, partial_input=None)
CHOICE = TaskSpec(name="copa", format="multiple_choice", labels=(), partial_input=None)
QA = TaskSpec(name="qa", format="span", labels=(), partial_input=None)
TEXT = "{text}\nQuestion: {text_pair} True, False or Neither?\nAnswer:"
ANSWERS = {"entailment": "True", "neutral": "Neither", "contradiction": "False"}
ROWS = [
    {"id": str(n), "text": f"alpha beta {word}", "text_pair": f"gamma {word} {n}", "label": LABELS[n % 3]}
    for n, word in enumerate("one two three four five six seven eight nine ten".split())  # noqa: SIM905
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return causal_model(tmp_path_factory.mktemp("causal"))


def local(folder, **changes):
    return LocalModel(kind="local", source=str(folder), **({"max_length": 512, "batch_size": 4} | changes))


def spec(model, task=NLI, **changes):
    prompts = {"classification": {"text": TEXT, "answers": ANSWERS}}
    prompts["multiple_choice"] = {"text": "{context}\n{question}\nAnswer:"}
    prompts["span"] = {"text": "{context}\nQuestion: {question}\nAnswer:"}
    metrics = {"classification": ("accuracy",), "multiple_choice": ("accuracy",), "span": ("squad_f1",)}
    values = {"model": model.model_dump(by_alias=True), "task": task.model_dump(), "metrics": metrics[task.format]}
    values |= {"languages": ["en"], "split": "test", "instruction": "en", "prompts": {"en": prompts[task.format]}}
    return PromptSpec.read(values | {"answer_tokens": 8, "threads": 1} | changes)


def run(spec, rows, folder, shots=None):
    """The result of a language, predictions and the manifest."""
    folder.mkdir(exist_ok=True, parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "test.parquet")
    if shots is not None:
        pq.write_table(pa.Table.from_pylist(shots), folder / "shots.parquet")
    names = {"encoder": "lm", "intermediate": "none", "mix": "none", "seed": None, "target": spec.task.name}
    evaluate(
        spec,
        {"en": folder / "test.parquet"},
        {"en": folder / "out" / "en.json"},
        names,
        shots=folder / "shots.parquet" if shots is not None else None,
        cache=folder / "cache",
        code=CodeStamps(),
    )
    predictions = pq.read_table(folder / "out" / "predictions.parquet")["prediction"].to_pylist()
    result = json.loads((folder / "out" / "en.json").read_text())
    return result, predictions, json.loads((folder / "out" / "manifest.json").read_text())


def lines(folder):
    """Keys of all answers in the cache, in their order."""
    (path,) = (folder / "cache" / "answers").glob("*.jsonl")
    return [json.loads(line)[0] for line in path.read_text().splitlines() if line]


# -- requests --------------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_prompt_and_its_choices():
    (request,) = Asker(spec(local("x"))).requests(ROWS[0], "en")
    assert request.prompt == "alpha beta one\nQuestion: gamma one 0 True, False or Neither?\nAnswer:"
    assert request.choices == (" True", " Neither", " False")


def test_a_line_without_a_value_is_left_out():
    row = {"id": "1", "context": "It rains.", "question": "", "choices": ["a", "b"], "label": 0}
    (request,) = Asker(spec(local("x"), CHOICE)).requests(row, "en")
    assert request == Request("It rains.\nAnswer:", (" a", " b"))


def test_braces_in_a_row_are_no_columns():
    row = ROWS[0] | {"text": "a {text_pair} {x}"}
    assert Asker(spec(local("x"))).requests(row, "en")[0].prompt.startswith("a {text_pair} {x}\n")


def test_shots_are_drawn_by_the_seed_and_are_solved():
    askers = {seed: Asker(spec(local("x"), shots=3, shots_task="nli", seed=seed), ROWS) for seed in (0, 0, 1)}
    prompts = {seed: asker.requests(ROWS[9], "en")[0].prompt for seed, asker in askers.items()}
    assert prompts[0] != prompts[1]
    parts = prompts[0].split("\n\n")
    assert len(parts) == 4
    shown = {part.partition("\n")[0]: part.rpartition("Answer: ")[2] for part in parts[:3]}
    assert shown == {row["text"]: ANSWERS[row["label"]] for row in ROWS if row["text"] in shown}
    with pytest.raises(UserError, match=r"11 shots are asked for, but .* has 10 usable rows"):
        Asker(spec(local("x"), shots=11, shots_task="nli", seed=0), ROWS)


@pytest.mark.parametrize(
    ("normalise", "null", "best"), [("none", None, 1), ("length", None, 0), ("null_prompt", (-9.0, -1.0, -3.0), 0)]
)
def test_likelihoods_are_compared_as_they_are_by_length_or_against_the_null_prompt(normalise, null, best):
    row = {"id": "1", "context": "c", "question": "q", "choices": ["a long choice", "b", "c"], "label": 0}
    asker = Asker(spec(local("x"), CHOICE, normalise=normalise))
    requests = asker.requests(row, "en")
    assert [request.prompt for request in requests][1:] == (["Answer:"] if null else [])
    given = [Answer((-4.0, -3.0, -3.5), "", 0, 0, 0.0)] + ([Answer(null, "", 0, 0, 0.0)] if null else [])
    assert asker.prediction(row, given) == best


# -- transformers ----------------------------------------------------------------------------------------------------


def by_hand(folder, prompt, choice):
    """The log-likelihood of a choice, a token after the other, in float64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    causal = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    tokens, begin = tokenizer.encode(prompt + choice), len(tokenizer.encode(prompt))
    with torch.inference_mode():
        scores = causal(torch.tensor([tokens])).logits[0].log_softmax(-1)
    return sum(float(scores[n - 1, tokens[n]]) for n in range(begin, len(tokens)))


def test_likelihoods_of_padded_batches_are_those_of_each_choice_alone(model):
    from intermezzo.evaluation.prompted.local import Local

    backend, asker = Local(local(model), 8, 1), Asker(spec(local(model)))
    requests = [asker.requests(row, "en")[0] for row in ROWS[:6]]
    pairs = [pair for batch in backend.answer(requests, set(requests)) for pair in batch]
    assert {request for request, _ in pairs} == set(requests)
    for request, answer in pairs[:2]:
        expected = [by_hand(model, request.prompt, choice) for choice in request.choices]
        assert answer.likelihoods == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_scores_equal_those_of_lm_eval_on_its_own_task(model, tmp_path):
    """ANLI as lm-eval has it (its prompt, choices and metric), on ten rows of ours, as its data are on the hub."""
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="pip install lm-eval")
    import lm_eval
    import yaml

    task = yaml.safe_load((Path(lm_eval.__file__).parent / "tasks/anli/anli_r1.yaml").read_text())
    theirs = [{"premise": r["text"], "hypothesis": r["text_pair"], "label": LABELS.index(r["label"])} for r in ROWS]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in theirs))
    for key in ("training_split", "validation_split", "tag"):
        del task[key]
    files = {"data_files": {"test": str(tmp_path / "rows.jsonl")}, "cache_dir": str(tmp_path / "datasets")}
    task |= {"dataset_path": "json", "dataset_kwargs": files, "test_split": "test"}
    causal = huggingface.HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=1)
    report = lm_eval.simple_evaluate(causal, tasks=[task], bootstrap_iters=0, verbosity="ERROR")

    wording = task["doc_to_text"].replace("{{premise}}", "{text}").replace("{{hypothesis}}", "{text_pair}")
    prompts = {"en": {"text": wording, "answers": ANSWERS}}
    result, predictions, _ = run(spec(local(model), prompts=prompts), ROWS, tmp_path)
    assert result["metrics"]["accuracy"] == pytest.approx(report["results"]["anli_r1"]["acc,none"])
    samples = sorted(report["samples"]["anli_r1"], key=lambda sample: sample["doc_id"])
    expected = [[value for value, _ in sample["filtered_resps"]] for sample in samples]
    assert predictions == [LABELS[values.index(max(values))] for values in expected]
    (name,) = (tmp_path / "cache" / "answers").glob("*.jsonl")
    known, asker = answers.Answers(name.parent, name.stem), Asker(spec(local(model), prompts=prompts))
    ours = [known[asker.requests(row, "en")[0]].likelihoods for row in ROWS]
    assert [value for row in ours for value in row] == pytest.approx([v for row in expected for v in row], abs=1e-3)


def test_a_target_is_answered_scored_and_costs(model, tmp_path):
    price = {"input": 1.0, "output": 2.0}
    result, predictions, manifest = run(spec(local(model), price=price), ROWS, tmp_path)
    assert (
        result["metrics"]["accuracy"] == sum(p == row["label"] for p, row in zip(predictions, ROWS, strict=True)) / 10
    )
    assert result["n"] == 10
    assert result["majority"]["accuracy"] == pytest.approx(0.4)
    cost = manifest["cost"]
    assert cost["output_tokens"] == 0
    assert cost["input_tokens"] == sum(
        len(f"{row['text']}\nQuestion: {row['text_pair']} True, False or Neither?\nAnswer: {choice}")
        for row in ROWS
        for choice in ANSWERS.values()
    )
    assert cost["money"] == pytest.approx(cost["input_tokens"] / 1e6)


def test_questions_are_answered_in_writing_up_to_a_line_break(model, tmp_path):
    rows = [
        {"id": str(n), "context": f"alpha beta {n}", "question": "what?", "answers": ["alpha"], "answer_starts": [0]}
        for n in range(3)
    ]
    _, predictions, manifest = run(spec(local(model), QA), rows, tmp_path)
    assert all("\n" not in text and len(text) <= 8 for text in predictions)
    assert manifest["cost"]["input_tokens"] == sum(len(f"{r['context']}\nQuestion: what?\nAnswer:") for r in rows)


def test_a_run_that_was_killed_asks_for_the_rest_and_ends_with_the_same_bytes(model, tmp_path, monkeypatch):
    whole = run(spec(local(model)), ROWS, tmp_path / "whole")
    added, add = [], answers.Answers.add

    def killed(self, pairs):
        if len(added) == 2:
            raise KeyboardInterrupt
        added.append(None)
        add(self, pairs)

    monkeypatch.setattr(answers.Answers, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        run(spec(local(model)), ROWS, tmp_path / "part")
    monkeypatch.undo()
    (path,) = (tmp_path / "part" / "cache" / "answers").glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-20])  # the last line of the two batches of four is cut off
    assert len(path.read_text().splitlines()) > 8
    resumed = run(spec(local(model)), ROWS, tmp_path / "part")
    names = [f"out/{name}" for name in ("en.json", "predictions.parquet")]
    assert all((tmp_path / "part" / n).read_bytes() == (tmp_path / "whole" / n).read_bytes() for n in names)
    assert resumed[:2] == whole[:2]


def test_known_answers_load_no_model(model, tmp_path, monkeypatch):
    run(spec(local(model)), ROWS, tmp_path)
    before = lines(tmp_path)
    monkeypatch.setattr("intermezzo.evaluation.prompted.local._read", None)
    run(spec(local(model), metrics=["macro_f1"]), ROWS, tmp_path)
    assert lines(tmp_path) == before
    assert len(set(before)) == 10


# -- a server --------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("intermezzo.sources.hub.patience.FIRST", 0.01)


def served(server, **changes):
    return ServerModel(kind="server", server=server.address, model="m", **({"requests": 2} | changes))


def test_a_server_that_fails_twice_is_asked_again_and_no_row_twice(quick, tmp_path):
    with serving(fails=[503, 0]) as server:
        result, predictions, manifest = run(spec(served(server)), ROWS, tmp_path)
        prompts = [body["prompt"] for body in server.bodies]
        assert len(prompts) == len(set(prompts)) == 30
        assert len(lines(tmp_path)) == len(set(lines(tmp_path))) == 10
        run(spec(served(server)), ROWS, tmp_path)
        assert len(server.bodies) == 30  # nothing is asked again
    assert predictions == ["entailment"] * 10  # `True` is the shortest
    assert result["metrics"]["accuracy"] == 0.4
    tokens = sum(
        len(f"{r['text']}\nQuestion: {r['text_pair']} True, False or Neither?\nAnswer: x".split(" ")) for r in ROWS
    )
    assert manifest["cost"]["input_tokens"] == 3 * tokens


def test_answers_before_a_refusal_are_kept(quick, tmp_path):
    with serving(fails=[200] * 10 + [400]) as server:
        with pytest.raises(UserError, match="refuses the request"):
            run(spec(served(server, requests=2)), ROWS, tmp_path)
        answered = len(server.bodies)
        kept = lines(tmp_path)
        assert answered // 3 == len(kept) >= 3  # every row that was answered whole
        run(spec(served(server, requests=2)), ROWS, tmp_path)
        assert len(lines(tmp_path)) == len(set(lines(tmp_path))) == 10
        assert len(server.bodies) == answered + 30 - 3 * len(kept)  # no row that was kept is asked again


def test_the_likelihood_of_a_choice_is_the_sum_of_its_tokens(tmp_path):
    from intermezzo.evaluation.prompted.server import Server

    with serving() as server:
        backend = Server(served(server), 8)
        request = Request("alpha beta Answer:", (" True", " not True"))
        ((_, answer),) = next(iter(backend.answer([request], {request})))
    assert answer.likelihoods == pytest.approx((-5 / 4, -4 / 4 - 5 / 4))
    assert answer.input_tokens == 4 + 5


def test_a_server_writes_answers(tmp_path):
    rows = [{"id": "0", "context": "c", "question": "q", "answers": ["gamma"], "answer_starts": [0]}]
    with serving() as server:
        result, predictions, manifest = run(spec(served(server), QA), rows, tmp_path)
        assert server.bodies[0]["max_tokens"] == 8
    assert predictions == ["gamma"]
    assert result["metrics"]["squad_f1"] == 1
    assert (manifest["cost"]["input_tokens"], manifest["cost"]["output_tokens"]) == (7, 2)


def test_a_server_without_log_probabilities_is_refused(tmp_path):
    with serving(logprobs=False) as server, pytest.raises(UserError, match="gives no log-probabilities of the prompt"):
        run(spec(served(server)), ROWS, tmp_path)


def test_a_key_comes_from_the_environment_and_is_written_nowhere(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("LM_KEY", raising=False)
    with serving(fails=[401]) as server:
        with pytest.raises(UserError, match=r"LM_KEY, which is to have the key of .* is not set; run `export LM_KEY"):
            run(spec(served(server, key="LM_KEY")), ROWS, tmp_path)
        assert not server.keys
        monkeypatch.setenv("LM_KEY", "sk-secret-123")
        with pytest.raises(UserError, match=r"refuses access .* see to the key in LM_KEY") as refused:
            run(spec(served(server, key="LM_KEY", requests=1)), ROWS, tmp_path)  # its message repeats the key
        run(spec(served(server, key="LM_KEY")), ROWS, tmp_path)
        assert server.keys[-1] == "Bearer sk-secret-123"
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"sk-secret" in content for content in files)
    assert "sk-secret" not in str(refused.value) + caplog.text


@pytest.mark.parametrize(
    ("status", "words"), [(404, "it has no model 'm'"), (302, "sends requests elsewhere"), (400, "refuses the request")]
)
def test_what_a_server_refuses_is_one_message(tmp_path, status, words):
    with serving(fails=[status]) as server, pytest.raises(UserError, match=words):
        run(spec(served(server, requests=1)), ROWS, tmp_path)


# -- answers ---------------------------------------------------------------------------------------------------------


def test_a_line_that_was_changed_counts_as_missing(tmp_path):
    one, two = Request("a", ("b",)), Request("c", ())
    with answers.opened(tmp_path, "x") as known:
        known.add([(one, Answer((-1.0,), "", 1, 0, 0.5)), (two, Answer((), "tëxt", 1, 1, 0.5))])
        known.add([(one, Answer((-2.0,), "", 1, 0, 0.5))])
    path = tmp_path / "x.jsonl"
    assert answers.Answers(tmp_path, "x")[one].likelihoods == (-1.0,)
    path.write_text(path.read_text().replace("-1.0", "-3.0"))
    again = answers.Answers(tmp_path, "x")
    assert one not in again
    assert again[two].text == "tëxt"
    (tmp_path / "y.jsonl").write_bytes(path.read_bytes())
    assert two not in answers.Answers(tmp_path, "y")  # another model's


# -- prompts and configurations --------------------------------------------------------------------------------------


def test_shipped_prompts_fit_every_task_that_can_be_prompted():
    """In English all of them; in other languages those that the file has a prompt for, under a name that is used."""
    tasks = [load_task(name) for name in task_names()]
    tasks = [t for t in tasks if t.form.prompted and t.metrics and isinstance(t.labels, tuple)]
    names = {name for task in tasks for name in (task.name, task.skill, task.format)}
    for path in sorted(SHIPPED.glob("*.yaml")):
        content = read_yaml(path, "prompts")
        assert content.keys() <= names, path
        for task in tasks:
            if path.stem == "en" or content.keys() & {task.name, task.skill, task.format}:
                found = prompt_for(task, path.stem)
                assert set(found.answers) == (set(task.labels) if task.format == "classification" else set())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("nli: {prompt: 'x {hypothesis}\n\n  Answer:'}", "unknown column '{hypothesis}'"),
        ("nli: {prompt: 'Answer:'}", "shows no column"),
        ("nli: {prompt: '{text} {text_pair}'}", "last line asks for the answer"),
        ("nli: {text: 'x'}", "must have prompt"),
        ("nli: {prompt: \"{text}\\nA:\", answers: {entailment: 'a'}}", "label 'neutral' .* is missing"),
        ("nli: {prompt: \"{text}\\nA:\", answers: {yes: 'a'}}", "no label 'yes'|must be label"),
        ('nli: {prompt: "{text}\\nA:", answers: {entailment: a, neutral: a, contradiction: b}}', "the same answer"),
        ('topic: {prompt: "{text}\\nA:"}', "no prompt for task 'nli'; write one under one of nli, classification"),
        ("[]", "must be a dictionary"),
    ],
)
def test_a_prompt_that_does_not_fit_is_one_message(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config/prompts").mkdir(parents=True)
    (tmp_path / "config/prompts/xx.yaml").write_text(content)
    prompt_languages.cache_clear()
    with pytest.raises(UserError, match=words):
        prompt_for(load_task("nli"), "xx")


def problems(entry, **grid):
    with pytest.raises(UserError) as refused:
        load({"grid": {"prompted": ["lm"], **grid}, "prompted": {"lm": entry}})
    return [line.strip() for line in str(refused.value).splitlines()[1:]]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "prompted.lm: neither is given of `from`"),
        ({"from": "x/y", "server": "http://h/v1", "model": "m"}, "prompted.lm: both are given"),
        ({"from": "./nowhere"}, "prompted.lm.from: no such file or folder"),
        ({"from": "nowhere.gguf"}, "prompted.lm.from: "),
        ({"from": "org/model"}, "prompted.lm.revision: missing"),
        (
            {"from": "package:no_such_llm/x"},
            "the Python package 'no_such_llm' is not installed (pip install no-such-llm",
        ),
        ({"server": "localhost:8000", "model": "m"}, "prompted.lm.server: 'localhost:8000' is no address"),
        ({"server": "http://a:secret@h/v1", "model": "m"}, "has a password or a token"),
        ({"server": "http://h/v1"}, "prompted.lm.model: missing"),
        ({"server": "http://h/v1", "model": "m", "key": "sk-abc.def"}, "prompted.lm.key"),
        ({"server": "http://h/v1", "model": "m", "instruction": "xx"}, "no prompts in 'xx'"),
        (
            {"server": "http://h/v1", "model": "m", "instruction": "own", "targets": ["nli"]},
            "but there are no prompts in ",
        ),
        ({"server": "http://h/v1", "model": "m", "targets": ["pos"]}, "format tagging cannot be answered"),
        ({"server": "http://h/v1", "model": "m", "targets": ["nlo"]}, "did you mean 'nli'?"),
        ({"server": "http://h/v1", "model": "m", "languages": ["xx"]}, "no target is evaluated in 'xx'"),
    ],
)
def test_a_bad_entry_is_one_message(entry, words):
    found = problems(entry)
    assert len(found) == 1
    assert words in found[0]
    assert not re.search("secret|abc", found[0])


def test_an_unknown_name_and_one_of_an_encoder_are_refused():
    entry = {"server": "http://h/v1", "model": "m"}
    with pytest.raises(UserError, match=r"grid.prompted: unknown name 'lmm'; did you mean 'lm'"):
        load({"grid": {"prompted": ["lmm"]}, "prompted": {"lm": entry}})
    with pytest.raises(UserError, match=r"'world' is the name of an encoder"):
        load({"grid": {"prompted": ["world"]}, "prompted": {"world": entry}})


def test_a_model_that_is_none_is_one_message(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match=r"language model .* cannot be read"):
        run(spec(local(tmp_path)), ROWS, tmp_path / "run")
