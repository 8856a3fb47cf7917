"""Caches heal: a file that is cut, changed, of an older version or of another key is noticed and made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intermezzo.core import sealed
from intermezzo.core.artifacts import sha256, write_json
from intermezzo.execution import adoption

CONTENT = b"0123456789" * 50


def stored(path: Path, content: bytes = CONTENT) -> Path:
    with sealed.write(path) as part:
        part.write_bytes(content)
    return path


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:10]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"1"),
    "one bit": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
    "seal": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"g"),
    "older version, without a seal": lambda path: path.write_bytes(CONTENT),
    "another key": lambda path: path.write_bytes(stored(path.with_name("other.bin")).read_bytes()),
    "another folder's": lambda path: path.write_bytes(stored(path.parent.with_name("other") / path.name).read_bytes()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_removed_with_one_line(damage, tmp_path, caplog):
    path = stored(tmp_path / "cache" / "key.bin")
    assert bytes(sealed.read(path)) == CONTENT and not caplog.records
    DAMAGES[damage](path)
    assert sealed.read(path) is None and not path.exists()
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [str(path)]
    assert sealed.read(path) is None and len(caplog.records) == 1, "one that is not there is no damage"


def test_the_cache_may_move_and_an_empty_content_is_one(tmp_path):
    path = stored(tmp_path / "first" / "cache" / "key.bin", b"")
    path.parents[1].rename(tmp_path / "second")
    assert bytes(sealed.read(tmp_path / "second/cache/key.bin")) == b""


def test_a_finished_model_under_the_name_of_another_is_not_taken_over(tmp_path):
    """Whole records whose folders were exchanged."""
    store, folders = tmp_path / "state" / "finished", {}
    for name in ("a", "b"):
        out = tmp_path / name
        with adoption.exclusive(out, tmp_path / "state" / f"{name * 32}") as adopted:
            assert not adopted
            out.mkdir()
            (out / "model.safetensors").write_text(name)
            write_json(out / "manifest.json", {"weights_sha256": sha256(out / "model.safetensors")})
        (folders[name],) = store.glob(f"*-{name * 32}")
        for file in out.iterdir():
            file.unlink()
        out.rmdir()
    folders["a"].rename(store / "aside")
    folders["b"].rename(folders["a"])
    with adoption.exclusive(tmp_path / "a", tmp_path / "state" / ("a" * 32)) as adopted:
        assert not adopted
        (tmp_path / "a").mkdir(exist_ok=True)
        write_json(tmp_path / "a" / "manifest.json", {})


def test_batches_of_a_translation_that_were_changed_count_as_missing(tmp_path, caplog):
    from intermezzo.translation.hub import _Store

    store = _Store(tmp_path, "key")
    for number in range(4):
        store.add(str(number), [f"text\u2028{number}"])
    lines = [line for line in store.path.read_text(encoding="utf-8").split("\n") if line]
    older = json.dumps({"batch": "4", "translations": ["of an older version"]})
    changed = [lines[0], lines[1].replace("text", "test"), lines[2][:20], "[]", older, lines[3], ""]
    store.path.write_text("\n".join(changed), encoding="utf-8")
    assert _Store(tmp_path, "key").finished == {"0": ["text\u20280"], "3": ["text\u20283"]}
    assert [record.getMessage() for record in caplog.records] == [
        f"{store.path}: 4 batches are damaged or not of these settings; made again"
    ]
    store.path.rename(tmp_path / "other.jsonl")
    assert not _Store(tmp_path, "other").finished
