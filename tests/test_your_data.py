"""docs/your-data.md is executed: its files are written, its commands run, and what they print is what it shows."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from checkout import ROOT, Checkout
from intermezzo.sources.files import READERS, matching_files, read_part, steps
from intermezzo.tasks import Task
from intermezzo.tasks.formats import load_format

GUIDE = ROOT / "docs" / "your-data.md"
_FILE = re.compile(r"`([\w/+-]+\.\w[\w.]*)`:$")
_FORMAT = re.compile(r"Read as (\w+):$")


@dataclass
class Block:
    """A fenced block: the word after its fence, the last line before it, and its text."""

    kind: str
    before: str
    text: str


def sections() -> dict[str, list[Block]]:
    """Heading -> its blocks."""
    found: dict[str, list[Block]] = {}
    heading = before = ""
    block: Block | None = None
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        if line.startswith("```") and block is None:
            block = Block(line.removeprefix("```"), before, "")
        elif line == "```":
            found.setdefault(heading, []).append(block)
            block, before = None, line
        elif block is not None:
            block.text += line + "\n"
        elif line.startswith("#"):
            heading = before = line.lstrip("# ")
        elif line:
            before = line
    return found


def write_files(blocks: list[Block], folder: Path) -> None:
    """The files that are named right before a block."""
    for block in blocks:
        if name := _FILE.search(block.before):
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def is_shown(shown: str, printed: str) -> bool:
    """Whether that was printed, but for spaces at the ends of lines; `...` stands for anything."""
    shown, printed = ("\n".join(map(str.rstrip, text.strip().splitlines())) for text in (shown, printed))
    parts = [re.escape(part) for part in shown.split("...")]
    return re.fullmatch(".*?".join(parts), printed, flags=re.DOTALL) is not None


def test_the_dots_of_a_guide_stand_for_anything_and_the_rest_for_itself():
    assert is_shown("a ... c\n...\n", "a b c\nd") and is_shown("a", "a\n")
    assert not is_shown("a ... c", "a b") and not is_shown("a", "a b")


@pytest.mark.workflow
def test_the_five_steps_are_executed_command_by_command(tmp_path):
    checkout = Checkout.fresh(tmp_path / "project")
    folder = checkout.folder
    steps_ = [blocks for heading, blocks in sections().items() if heading[0].isdigit()]
    assert len(steps_) == 5
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INTERMEZZO")}
    environment |= {"PYTHONPATH": str(folder / "src")}
    commands = 0
    for blocks in steps_:
        write_files(blocks, folder)
        if not (folder / "models").exists():
            make_encoder(folder)
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            if block.kind != "sh":
                continue
            printed = ""
            for command in block.text.strip().splitlines():
                done = subprocess.run(
                    ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
                )
                assert done.returncode == 0, (command, done.stdout[-4000:], done.stderr[-4000:])
                printed += done.stdout
                commands += 1
            if following and following.kind != "sh" and not _FILE.search(following.before):
                assert is_shown(following.text, printed), printed
    assert commands >= 10
    answer = (folder / "results" / "answer.md").read_text()
    assert "`en+sw` against `en`" in answer


def make_encoder(folder: Path) -> None:
    """The encoder of the guide: small, untrained, with a tokenizer of the data's words."""
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    from intermezzo.modeling.tokenizer import train_tokenizer

    model = folder / "models" / "mine"
    files = sorted(path for path in (folder / "data").rglob("*") if path.is_file())
    texts = [line for path in files for line in path.read_text().splitlines()]
    size = train_tokenizer(texts, model, vocab_size=300)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = XLMRobertaConfig(vocab_size=size, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1, **shape)
    XLMRobertaForMaskedLM(config).save_pretrained(model)


EXAMPLES = [heading for heading in sections() if heading.startswith("`") or heading.startswith("Steps")]


@pytest.mark.parametrize("heading", EXAMPLES)
def test_the_example_of_a_reader_gives_the_rows_that_are_shown(heading, tmp_path, monkeypatch):
    blocks = sections()[heading]
    monkeypatch.chdir(tmp_path)
    write_files(blocks, tmp_path)
    for block in blocks:
        if block.kind == "python":
            (tmp_path / "examples").mkdir(exist_ok=True)
            exec(block.text, {})
    examples = [(i, _FORMAT.search(block.before)) for i, block in enumerate(blocks) if _FORMAT.search(block.before)]
    assert examples, heading
    for i, match in examples:
        form = load_format(match[1])
        labels = {"labels": "from_data"} if form.label_column else {}
        section = {"files": {"data": {}}}
        task = Task(name="own", description="", format=form.name, licence="none", sources=section, **labels)
        part = yaml.safe_load(blocks[i].text)
        assert f"`{part['reader']}`" == heading or heading.startswith("Steps")
        rows = read_part(task, part, matching_files(tmp_path, part.pop("path")), "here")
        shown = [json.loads(line) for line in blocks[i + 1].text.splitlines()]
        assert rows == shown


def test_the_guide_names_every_reader_with_all_its_options_and_every_step():
    parts = re.split(r"^### (.*)$", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = dict(zip(parts[1::2], parts[2::2], strict=True))
    for name, reader in READERS.items():
        for option in [*inspect.signature(reader).parameters][1:]:
            assert re.search(rf"`{option}\b", text[f"`{name}`"]), (name, option)
    for step in steps.STEPS:
        assert re.search(rf"`{step}:", text["Steps after every reader"]), step
