"""What the machine does wrong (full disks, limits, too little memory) is one message and exit status 2."""

from __future__ import annotations

import errno
import os
import re
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from tokenizers import Tokenizer, models

from intermezzo.cli import main as command_line
from intermezzo.cli.arguments import check_columns
from intermezzo.core import artifacts
from intermezzo.core.errors import machine_fault
from intermezzo.modeling.tokenizer import train_tokenizer
from intermezzo.report.results import _scores

DISK, QUOTA, SIZE = "no space left on the disk", "the quota on the disk is used up", "a file reached the limit"
MEMORY, THREADS, FILES = "out of memory", "no further process or thread", "too many open files"
DRESSES = [
    (OSError(errno.ENOSPC, "No space left on device", "a/b"), f"{DISK} (a/b); make room, and run again"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), QUOTA),
    (OSError(errno.EFBIG, "File too large"), SIZE),
    (OSError("[Errno 122] Error writing bytes to file. Detail: [errno 122] Disk quota exceeded"), QUOTA),
    (Exception("No space left on device (os error 28)"), DISK),
    (Exception("Disk quota exceeded (os error 122)"), QUOTA),
    (Exception("File too large (os error 27)"), SIZE),
    (SafetensorError("Error while serializing: I/O error: Disk quota exceeded (os error 122)"), QUOTA),
    (SafetensorError("I/O error: Cannot allocate memory (os error 12)"), MEMORY),
    (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"), DISK),
    (RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"), DISK),
    (MemoryError(), MEMORY),
    (pa.ArrowMemoryError("malloc of size 4096 failed"), MEMORY),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
    (RuntimeError("std::bad_alloc"), MEMORY),
    (RuntimeError("could not create a primitive"), MEMORY),
    (RuntimeError("could not create a memory object"), MEMORY),
    (
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"),
        MEMORY,
    ),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), MEMORY),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), MEMORY),
    (RuntimeError("CUDA error: out of memory"), MEMORY),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), MEMORY),
    (torch.OutOfMemoryError(), MEMORY),
    (ImportError("libtorch_cpu.so: failed to map segment from shared object"), MEMORY),
    (RuntimeError("can't start new thread"), THREADS),
    (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), THREADS),
    (OSError(errno.EMFILE, "Too many open files", "x"), FILES),
    (RuntimeError("Too many open files (os error 24)"), FILES),
    (OSError(errno.E2BIG, "Argument list too long", "/bin/bash"), "a command line is longer"),
    (OSError(errno.EIO, "Input/output error", "x"), "the disk cannot be read or written (x)"),
    (PermissionError(errno.EACCES, "Permission denied", "x"), "x: cannot be opened or written (Permission denied)"),
    (OSError(errno.EROFS, "Read-only file system", "x"), "x: cannot be opened or written (Read-only"),
]


def ids(value: object) -> str | None:
    return f"{type(value).__name__} {value}"[:50] if isinstance(value, Exception) else ""


@pytest.mark.parametrize(("error", "said"), DRESSES, ids=ids)
def test_each_dress_of_a_fault_is_one_message_that_says_how_to_mend_it(error, said):
    assert machine_fault(error).startswith(said)
    wrapped = ValueError("cannot be read")
    wrapped.__cause__ = error
    assert machine_fault(wrapped).startswith(said)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError("could not create a primitive descriptor for a matmul primitive"),
        KeyError("memory"),
        IndexError("index 28 is out of range"),
        Exception("No such file or directory (os error 2)"),
        AttributeError("'NoneType' object has no attribute 'errno'"),
    ],
    ids=ids,
)
def test_mistakes_of_the_program_show(error):
    assert machine_fault(error) is None


def test_a_fault_of_the_machine_is_no_excuse_for_a_mistake_in_handling_it():
    try:
        try:
            raise OSError(errno.EACCES, "Permission denied", "x")
        except OSError:
            {}["missing"]
    except KeyError as error:
        assert machine_fault(error) is None


def test_missing_files_are_the_users_to_mend_only_where_the_job_was_given_them(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def status(path: str) -> int:
        def work(_: object) -> None:
            open(path).close()

        monkeypatch.setattr("intermezzo.cli.stages.report", work)
        files = ("--page", "out/report.html", "--figures", "out/f", "--tables", "out/t", "--results", "given/results")
        return command_line.main(["stage", "report", "--spec", spec, "--scores", "given/scores.parquet", *files])

    spec = (
        '{"english": "en", "english_mix": null, "rare": [], "seeds": [0], "encoders": ["e"],'
        ' "intermediates": {}, "targets": {}}'
    )
    for path in ("given/scores.parquet", "given/results/target/model.safetensors"):
        assert status(path) == 2
        assert capsys.readouterr().err == (
            f"error: {path}: no such file, though it was there when the run was planned; run again\n"
        )
    for path in ("elsewhere/x", "results/.state/x.lock"):
        with pytest.raises(FileNotFoundError):
            status(path)


def allocate(library: str) -> Callable[[], object]:
    def work() -> object:
        size = 2**55
        return {
            "python": lambda: bytearray(size),
            "torch": lambda: torch.empty(size),
            "numpy": lambda: np.empty(size),
            "pyarrow": lambda: pa.allocate_buffer(size),
        }[library]()

    return work


@pytest.mark.parametrize(
    ("limit", "work", "said"),
    [
        ("RLIMIT_FSIZE", lambda: Path("x").write_bytes(bytes(99)), SIZE),
        ("RLIMIT_FSIZE", lambda: Tokenizer(models.BPE()).save("x"), SIZE),
        ("RLIMIT_FSIZE", lambda: save_file({"x": torch.zeros(9)}, "x"), SIZE),
        ("RLIMIT_FSIZE", lambda: torch.save(torch.zeros(99), "x"), DISK),  # it does not tell which limit
        ("RLIMIT_FSIZE", lambda: pq.write_table(pa.table({"x": [1]}), "x"), SIZE),
        ("RLIMIT_NOFILE", lambda: Path("/dev/null").read_bytes(), FILES),
        *((None, allocate(library), MEMORY) for library in ("python", "torch", "numpy", "pyarrow")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_real_limits_are_one_message_and_exit_status_2(limit, work, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("intermezzo.cli.commands.export.export", lambda options: work())
    number = getattr(resource, limit) if limit else resource.RLIMIT_CORE
    before = resource.getrlimit(number)
    try:
        resource.setrlimit(number, (9, before[1]))
        status = command_line.main(["export", "model", "out"])
    finally:
        resource.setrlimit(number, before)
    error = capsys.readouterr().err
    assert status == 2 and error.startswith(f"error: {said}") and error.count("\n") == 1


def test_a_lack_of_memory_is_no_fault_of_the_files_or_settings_that_were_read(tmp_path, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 4096 failed")

    def fails_too(*_: object, **__: object) -> None:
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr(pq, "read_schema", fails)
    monkeypatch.setattr(pq, "read_table", fails)
    monkeypatch.setattr("sentencepiece.SentencePieceTrainer.train", fails_too)
    (tmp_path / "x.parquet").touch()
    with pytest.raises(MemoryError):
        check_columns([tmp_path / "x.parquet"], "classification")
    with pytest.raises(MemoryError):
        _scores(tmp_path / "scores.parquet", None)
    with pytest.raises(RuntimeError, match="bad_alloc"):
        train_tokenizer(["a b"], tmp_path, vocab_size=9)


# -- files that are whole or absent ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_what_is_written_is_on_the_disk_before_it_has_its_name_and_then_the_name(folder, tmp_path, monkeypatch):
    events, replace = [], os.replace

    def fsync(descriptor: int) -> None:
        events.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))

    def replaced(source: Path, target: Path) -> None:
        events.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replaced)
    with artifacts.atomic(tmp_path / "x") as part:
        if folder:
            part.mkdir()
        written = part / "inner" if folder else part
        written.write_text("text")
        host, process = re.fullmatch(r"\.x\.(.+)-(\d+)-[0-9a-f]{8}\.part", part.name).groups()
    assert events == [*([written] if folder else []), part, "replace", tmp_path]
    assert int(process) == os.getpid() and host, "two machines of one volume may have equal process numbers"


def test_a_file_system_that_cannot_flush_folders_will_do_and_a_full_one_will_not(tmp_path, monkeypatch):
    def fsync(number: int, *, folders: bool) -> Callable[[int], None]:
        def fails(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode) == folders:
                raise OSError(number, os.strerror(number))

        return fails

    monkeypatch.setattr(os, "fsync", fsync(errno.EINVAL, folders=True))
    artifacts.write_text(tmp_path / "x", "first")
    monkeypatch.setattr(os, "fsync", fsync(errno.ENOSPC, folders=False))
    with pytest.raises(OSError, match="No space left"):
        artifacts.write_text(tmp_path / "x", "second")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["first"]
