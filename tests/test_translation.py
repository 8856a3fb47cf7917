"""Translation of training data: answers carried over, batches kept, the same rows after an interruption."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from intermezzo.core.errors import UserError
from intermezzo.specs.base import read
from intermezzo.specs.translation import FilesTranslation, HubTranslation, TranslationSpec, WorldTranslation
from intermezzo.tasks import load_task
from intermezzo.tasks.formats import Passage, load_format
from intermezzo.translation import hub, translate
from intermezzo.translation.spans import marked, recovered, sentences
from intermezzo.world import build
from specifications import WORLD


def of_world(language: str, noise: float = 0.0) -> WorldTranslation:
    fields = {"task": "nli", "language": language, "examples": None, "backend": "world", "noise": noise}
    return WorldTranslation.read(fields | {"world": WORLD})


def of_model(**changes) -> HubTranslation:
    fields = {"task": "nli", "language": "sw", "examples": None, "backend": "hub", "model": "m", "revision": None}
    fields |= {"code": None, "english": "en", "batch_size": 8, "beams": 1, "max_length": 8, "threads": 1, "cache": "c"}
    return HubTranslation(**fields | changes)


def passage(context: str, answer: str) -> Passage:
    begin = context.index(answer)
    return Passage(context, (begin, begin + len(answer)))


# -- answers ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_recovered_between_its_marks():
    text = passage("Ana lives in Lima. She sings.", "Lima")
    assert marked(text) == "Ana lives in [Lima]. She sings."
    translation = recovered(text, "Ana anaishi [ Lima ]. Anaimba.")
    assert translation == Passage("Ana anaishi  Lima . Anaimba.", (13, 17))
    row = {"id": "1", "context": text.text, "question": "Where?", "answers": ["Lima"], "answer_starts": [13]}
    assert load_format("span").texts(row) == ["Where?", text]
    carried = load_format("span").translated(row, ["Wapi?", translation])
    assert carried == row | {
        "question": "Wapi?",
        "context": translation.text,
        "answers": ["Lima"],
        "answer_starts": [13],
    }


def test_other_marks_are_used_where_the_context_has_brackets():
    assert marked(passage("Note [1] says Lima.", "Lima")) == "Note [1] says {Lima}."


@pytest.mark.parametrize(
    "lost", ["Ana anaishi Lima.", "Ana [anaishi] [Lima].", "Ana ]anaishi[ Lima.", "Ana anaishi []."]
)
def test_rows_whose_marks_were_lost_are_left_out(lost):
    assert recovered(passage("Ana lives in Lima.", "Lima"), lost) is None


def test_a_question_without_answer_keeps_having_none():
    row = {"id": "1", "context": "Ana lives in Lima.", "question": "Who?", "answers": [], "answer_starts": []}
    _, text = load_format("span").texts(row)
    assert marked(text) == row["context"]
    carried = load_format("span").translated(row, ["Nani?", recovered(text, "Ana anaishi Lima.")])
    assert carried == row | {"question": "Nani?", "context": "Ana anaishi Lima."}


def test_a_marked_answer_is_in_one_sentence():
    text = passage("She met Dr. No. He left. It rained.", "Dr. No. He")
    assert sentences(marked(text)) == ["She met [Dr. No. He] left.", "It rained."]


# -- the world as translator -------------------------------------------------------------------------------------------


def test_the_world_translates_meaning_for_meaning_and_noise_changes_words():
    rows = build(WORLD).rows("nli", "en", "train", 30)
    exact = translate(of_world("vel"), rows)
    noisy = translate(of_world("vel", noise=0.5), rows)
    assert [row["label"] for row in exact] == [row["label"] for row in rows] == [row["label"] for row in noisy]
    assert all(a["text"] != b["text"] for a, b in zip(exact, rows, strict=True))
    assert sum(a["text"] != b["text"] for a, b in zip(exact, noisy, strict=True)) > 15


def test_bad_translations_are_one_message():
    rows = build({}).rows("nli", "en", "train", 3)
    with pytest.raises(UserError, match="backend: allowed: 'world', 'hub', 'files'; found 'worldd'"):
        read(TranslationSpec, of_world("vel").as_json() | {"backend": "worldd"})
    with pytest.raises(UserError, match="has no language 'velx'"):
        translate(of_world("velx"), rows)
    fields = {"task": "nli", "language": "sw", "examples": None, "backend": "files", "format": "classification"}
    published = FilesTranslation(**fields, parts=(), root=None, lock="l", downloads="d")
    with pytest.raises(UserError, match="no published translation into 'sw'"):
        translate(published, rows)
    with pytest.raises(UserError, match="labels would lose their words"):
        translate(of_model(task="pos"), [{"id": "1", "tokens": ["a"], "tags": ["X"]}])


# -- a model as translator ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny untrained T5 with a tokenizer of the texts' words: it babbles, the same each time."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("translator")
    words = ["<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(60)), "?", "."]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = T5Config(vocab_size=len(words), decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **shape)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def spec(model, cache, **changes) -> HubTranslation:
    return of_model(model=str(model), cache=str(cache), **changes)


def rows(count: int) -> list[dict]:
    labels = load_task("nli").labels
    return [
        {"id": str(i), "text": f"w{i % 60} w{i // 60} w{i % 7}", "text_pair": f"w{i % 11} .", "label": labels[i % 3]}
        for i in range(count)
    ]


@pytest.mark.slow
def test_an_interrupted_translation_goes_on_and_gives_the_same_rows(model, tmp_path, monkeypatch):
    whole = translate(spec(model, tmp_path / "whole"), rows(500))
    assert [row["label"] for row in whole] == [row["label"] for row in rows(500)]
    add, added = hub._Store.add, []

    def add_and_die(self, *arguments):
        add(self, *arguments)
        added.append(arguments)
        if len(added) == 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(hub._Store, "add", add_and_die)
    with pytest.raises(KeyboardInterrupt):
        translate(spec(model, tmp_path / "cut"), rows(500))
    (kept,) = (tmp_path / "cut").iterdir()
    with open(kept, "a") as file:
        file.write('{"batch": "cut off')
    assert translate(spec(model, tmp_path / "cut"), rows(500)) == whole
    batches = len({batch for batch, _ in added})
    assert len(added) == batches, "a finished batch was translated again"
    added.clear()
    assert translate(spec(model, tmp_path / "cut"), rows(500)) == whole and not added


def test_a_model_that_is_none_is_one_message(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"translation.model .* cannot be read"):
        translate(spec(tmp_path / "empty", tmp_path / "cache"), rows(3))


class _Harmful:
    """An object whose pickle runs a command when it is read."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def test_of_a_pickle_tensors_alone_are_read_and_it_is_said(model, tmp_path, caplog):
    folder, trace = tmp_path / "pickled", tmp_path / "trace"
    shutil.copytree(model, folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    few = rows(6)
    assert translate(spec(folder, tmp_path / "a"), few) == translate(spec(model, tmp_path / "b"), few)
    assert "has no safetensors: tensors alone were read of its pickle" in caplog.text
    assert caplog.text.count("safetensors") == 1
    torch.save({"x": _Harmful(trace)}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"translation.model .* cannot be read"):
        translate(spec(folder, tmp_path / "c"), few)
    assert not trace.exists()


# -- into English ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_model_translates_every_test_row_into_english_and_keeps_them_apart(model, tmp_path):
    into = spec(model, tmp_path, split="test", code="sw", batch_size=4)
    few = rows(6)
    translated = translate(into, few)
    assert [(row["id"], row["label"]) for row in translated] == [(row["id"], row["label"]) for row in few]
    assert translate(into, few) == translated
    translate(spec(model, tmp_path, code="sw", batch_size=4), few)
    assert len([*tmp_path.iterdir()]) == 2, "the other direction has batches of its own"
    questions = [{"id": "1", "context": "w1 w2", "question": "w3 ?", "answers": ["w1"], "answer_starts": [0]}]
    with pytest.raises(UserError, match="a model may lose answers in its translation"):
        translate(of_model(task="qa", split="test"), questions)


def test_a_model_is_told_its_two_languages_and_refused_where_it_lacks_one():
    class Tokenizer:
        src_lang, unk_token_id = "", 0

        def convert_tokens_to_ids(self, code):
            return {"eng": 1, "swh": 2}.get(code, 0)

    tokenizer = Tokenizer()
    into = of_model(split="test", code="swh", english="eng")
    assert hub._target(tokenizer, into) == {"forced_bos_token_id": 1} and tokenizer.src_lang == "swh"
    assert hub._target(tokenizer, into.replace(split="train")) == {"forced_bos_token_id": 2}
    assert tokenizer.src_lang == "eng"
    with pytest.raises(UserError, match=r"translation.languages: the model 'm' knows no language 'swx'"):
        hub._target(tokenizer, into.replace(code="swx"))
    with pytest.raises(UserError, match=r"translation.english: the model 'm' knows no language 'enx'"):
        hub._target(tokenizer, into.replace(english="enx"))
    tokenizer.target_lang = "swh"
    with pytest.raises(UserError, match="translates into 'swh', and translate_test needs a model"):
        hub._target(tokenizer, into)


def test_published_test_data_in_english_are_read_from_the_split_of_the_task_file(tmp_path, monkeypatch):
    from intermezzo.translation import files

    task = load_task("nli")
    monkeypatch.setattr(type(task.sources), "parts", lambda self, source: {"sw": {"test": [{"path": "sw.jsonl"}]}})
    read_with = []
    monkeypatch.setattr(files.sources, "read", lambda data: read_with.append(data) or rows(2))
    fields = {"task": "nli", "language": "sw", "examples": 2, "backend": "files", "format": "classification"}
    published = FilesTranslation(**fields, split="test", parts=(), root="r", lock="l", downloads="d")
    assert translate(published, rows(2)) == rows(2)
    assert (read_with[0].split, read_with[0].rows, read_with[0].section) == ("test", 2, "translated")
    with pytest.raises(UserError, match="no published translation of the dev data of 'sw'"):
        translate(published.replace(split="dev"), rows(2))
