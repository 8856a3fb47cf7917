"""Training by two processes (gloo on CPUs): the result of one, one message when it fails, and nothing left behind.

Processes are forks here, as importing torch for each would cost more than all else; the last test starts them as users
do.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from intermezzo.core.errors import UserError
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.heads import format_module
from intermezzo.modeling.tokenizer import load_tokenizer
from intermezzo.specs.finetuning import ALIGNMENT, Alignment, AlignmentHead, FinetuneSpec
from intermezzo.training import distributed, loop, states
from intermezzo.training.batches import TaskBatches
from intermezzo.training.distributed import all_gather, is_main_process, launch, rank
from intermezzo.training.finetune import finetune
from intermezzo.training.gradient import Gradient, balance
from intermezzo.training.pretrain import pretrain
from intermezzo.training.randomness import per_rank_rng, shared_rng
from specifications import SETTINGS, encoding, head_spec
from toy_training import PRETRAIN, TASKS, inputs, rows, spec, weights

pytestmark = pytest.mark.slow

FORMATS = ("colour", "choice", "tags", "where", "text", "find")
ALIGNED = AlignmentHead(pooling="cls", align=Alignment(level="both", temperature=0.1, regulariser=1.0))
SHORT = {"max_length": 10, "stride": 4}
"""The contexts of `where` are several windows."""


@pytest.fixture(autouse=True)
def forks(monkeypatch):
    monkeypatch.setattr(distributed, "START", "fork")


@pytest.fixture
def exact(monkeypatch):
    """Training in float64, where sums in another order do not differ enough for AdamW to make something of it."""
    real = loop.train

    def double(modules, *arguments, **keywords):
        loss = real(modules.double(), *arguments, **keywords)
        modules.float()
        return loss

    for user in ("finetune", "pretrain"):
        monkeypatch.setattr(f"intermezzo.training.{user}.train", double)


def train(job: FinetuneSpec, encoder: Path, data, out: Path, processes: int = 2) -> Path:
    paths = inputs(data, *(task.name for task in job.tasks))
    finetune(job.replace(processes=processes), encoder, paths, out, out.parent / f"{out.name}.state")
    return out


def trained(folder: Path) -> torch.Tensor:
    from safetensors.torch import load_file

    parts = [load_file(file) for file in sorted(folder.glob("*.safetensors"))]
    return torch.cat([value.flatten() for part in parts for _, value in sorted(part.items())])


def difference(one: Path, other: Path) -> float:
    return float((trained(one) - trained(other)).abs().max())


# -- the same mathematics ------------------------------------------------------------------------------------------


def gradients(encoder: Path, out: Path) -> None:
    """Gradients of one batch of every format and of pairs, in float64: large and small batches, whole and in parts."""
    results = {}
    for name in (*FORMATS, "pairs"):
        module = format_module(ALIGNMENT if name == "pairs" else TASKS[name]["format"])
        task = TASKS[name] | {"name": name}
        for count, budget in ((24, None), (24, 40), (3, None), (1, None)):
            system = load_encoder(encoder, dropout=0.0)
            torch.manual_seed(0)
            spec_ = ALIGNED if name == "pairs" else head_spec(task, SETTINGS | {"dropout": 0.0})
            head = module.Head(system.hidden_size, spec_)
            if hasattr(head, "attach"):
                head.attach(system, encoder)
            features = module.encode(rows(name, count, 1), load_tokenizer(encoder), encoding(task, SETTINGS | SHORT))
            if name == "pairs":
                head.start = [start.double() for start in head.start]
                features = head.prepare(features, torch.device("cpu"))
            modules = nn.ModuleDict({"encoder": system, "heads": nn.ModuleDict({name: head, "idle": nn.Linear(2, 2)})})
            every = [(name, range(len(features) if count > 1 else 1))]
            work = TaskBatches(modules.double(), {name: name}, {name: features}, every, {name: ["?"] * count})
            with per_rank_rng(name):
                gradient = Gradient(work, "float32", budget, list(modules.parameters()))
                loss, tokens = gradient(0, modules.zero_grad)
            results |= {
                (name, count, budget, key): p.grad.clone() if p.grad is not None else None
                for key, p in modules.named_parameters()
            }
            results |= {(name, count, budget, "loss"): loss, (name, count, budget, "tokens"): tokens}
    mine = {"/".join(map(str, key)): value for key, value in results.items()}
    torch.save(mine, out / f"{rank()}.pt")


def test_every_process_has_the_gradient_of_one(encoder, tmp_path):
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
        launch(gradients, processes, encoder, tmp_path / str(processes))
    one, first, second = (torch.load(tmp_path / name) for name in ("1/0.pt", "2/0.pt", "2/1.pt"))
    assert one.keys() == first.keys() and len(one) > 300
    for key, expected in one.items():
        assert (expected is None) == ("heads.idle" in key)
        for grad in (first[key], second[key]):
            torch.testing.assert_close(grad, expected, rtol=0, atol=1e-12, msg=key)


def test_work_is_shared_by_tokens():
    assert balance([9, 1, 2, 8, 3], 2) == [[0, 1, 2], [3, 4]]
    assert balance([5], 2) == [[0], []]
    assert balance([3, 1, 2], 1) == [[0, 1, 2]]


def test_several_tasks_and_masked_text_train_to_the_weights_of_one_process(data, encoder, tmp_path, exact):
    """Every step is of one task, so heads of the others must be left alone; masks are drawn as by one process."""
    job = spec("colour", "where", "tags", "text", epochs=1, dropout=0.0, **SHORT)
    train(job, encoder, data, tmp_path / "one", processes=1)
    train(job, encoder, data, tmp_path / "two")
    train(job.replace(seed=2), encoder, data, tmp_path / "other", processes=1)
    assert difference(tmp_path / "one", tmp_path / "other") > 1e-2
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-6
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("one", "two")]
    assert manifests[0]["steps"] == manifests[1]["steps"] > 24
    assert abs(manifests[0]["loss"] - manifests[1]["loss"]) < 1e-4
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two")]
    assert [json.loads(line)["tokens"] for line in logs[0]] == [json.loads(line)["tokens"] for line in logs[1]]


def test_pretraining_by_two_is_that_by_one(data, tmp_path, exact):
    text = {language: data("text", language) for language in PRETRAIN.languages}
    for processes in (1, 2):
        job = PRETRAIN.replace(processes=processes)
        pretrain(job, text, {}, tmp_path / str(processes), tmp_path / "state")
    assert difference(tmp_path / "1", tmp_path / "2") < 1e-6


def draw(out: Path) -> None:
    torch.manual_seed(3)
    with per_rank_rng("a run"):
        per_rank = torch.rand(3).tolist()
        with shared_rng():
            common = torch.rand(3).tolist()
        per_rank += torch.rand(3).tolist()
    drawn = all_gather({"own": per_rank, "common": common, "after": torch.rand(3).tolist()})
    if is_main_process():
        out.write_text(json.dumps(drawn))


def test_batches_are_drawn_alike_and_dropout_is_not(tmp_path):
    launch(draw, 2, tmp_path / "drawn.json")
    first, second = json.loads((tmp_path / "drawn.json").read_text())
    torch.manual_seed(3)
    assert first["common"] == second["common"] == torch.rand(3).tolist()
    assert first["after"] == second["after"] == torch.rand(3).tolist()
    assert not set(first["own"]) & set(second["own"])


def test_memory_that_runs_out_in_one_process_halves_the_parts_of_all(
    data, encoder, tmp_path, monkeypatch, capfd, exact
):
    job = spec("tags", "find", dropout=0.0, epochs=1)
    train(job, encoder, data, tmp_path / "one", processes=1)
    outputs = TaskBatches.outputs

    def small(self, step, items):
        result = outputs(self, step, items)  # something is computed before memory is out
        if rank() == 1 and step >= 3 and sum(item.tokens for item in items) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return result

    monkeypatch.setattr(TaskBatches, "outputs", small)
    train(job, encoder, data, tmp_path / "two")
    assert "out of memory at step 4: batches now go in parts of at most" in capfd.readouterr().err
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-6


# -- failures ------------------------------------------------------------------------------------------------------


def in_turn() -> FinetuneSpec:
    """Two stages with dropout and one head."""
    job = spec("colour", "shade")
    return job.replace(sampling="in_turn", tasks=tuple(task.replace(head="colour") for task in job.tasks))


@pytest.fixture
def die(monkeypatch):
    """die(file, step): a state after every step, and a kill of the second process right after that one."""
    monkeypatch.setattr(states, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(states, "SAVE_SHARE", float("inf"))
    save = states.State.save

    def at(file: str, last: int) -> None:
        def save_and_die(state, step, done):
            save(state, step, done)
            if rank() == 1 and (state.path.name, step) == (file, last):
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(states.State, "save", save_and_die)

    return at


@pytest.mark.parametrize("file", ["state0.pt", "state1.pt"])
def test_a_killed_process_ends_the_training_which_then_resumes_to_the_same_weights(
    data, encoder, tmp_path, die, file, capfd, caplog
):
    caplog.set_level(logging.INFO, "intermezzo")  # the processes show what this one would
    job = in_turn()
    train(job, encoder, data, tmp_path / "whole")
    die(file, 5)
    with pytest.raises(UserError, match="process 2 of 2 of this training was killed by SIGKILL"):
        train(job, encoder, data, tmp_path / "killed")
    assert not psutil.Process().children(recursive=True)
    assert not (tmp_path / "killed" / "manifest.json").exists()
    die("no file", 0)
    capfd.readouterr()
    train(job, encoder, data, tmp_path / "killed")
    assert (
        f"target {int(file[5]) + 1}/2: 12 steps in float32, " in (said := capfd.readouterr().err)
        and "from step 5" in said
    )
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    manifests = [(tmp_path / name / "manifest.json").read_text() for name in ("whole", "killed")]
    assert manifests[0] == manifests[1]


def test_masked_text_with_dropout_resumes_with_the_same_masks(data, encoder, tmp_path, die):
    job = spec("text")
    train(job, encoder, data, tmp_path / "whole")
    die("state0.pt", 5)
    with pytest.raises(UserError, match="SIGKILL"):
        train(job, encoder, data, tmp_path / "killed")
    die("no file", 0)
    train(job, encoder, data, tmp_path / "killed")
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_a_state_of_another_number_of_processes_is_not_used(data, encoder, tmp_path, die, caplog):
    die("state0.pt", 5)
    with pytest.raises(UserError, match="SIGKILL"):
        train(spec("colour"), encoder, data, tmp_path / "m")
    train(spec("colour"), encoder, data, tmp_path / "m", processes=1)
    assert "of a training by 2 process(es), this one has 1), starting from step 0" in caplog.text
    train(spec("colour"), encoder, data, tmp_path / "one", processes=1)
    assert weights(tmp_path / "m") == weights(tmp_path / "one")


def fail(error: BaseException, number: int) -> None:
    if rank() == number:
        raise error
    print("here is the first", file=sys.stderr, flush=True)
    distributed.barrier()


@pytest.mark.parametrize("number", [0, 1])
def test_an_error_of_any_process_is_the_error_of_the_job(number, capfd, monkeypatch):
    monkeypatch.setattr(distributed, "_GRACE", 1e6)  # the other process does not end by itself
    with pytest.raises(UserError, match=r"^lower the dose$"):
        launch(fail, 2, UserError("lower the dose"), number)
    with pytest.raises(UserError, match="no space left on the disk"):
        launch(fail, 2, OSError(errno.ENOSPC, "No space left on device"), number)
    with pytest.raises(RuntimeError, match=rf"process {number + 1} of 2(.|\n)*ZeroDivisionError: odd"):
        launch(fail, 2, ZeroDivisionError("odd"), number)
    assert not psutil.Process().children(recursive=True)
    said = capfd.readouterr().err
    assert set(said.splitlines()) == ({"here is the first"} if number else set())


def stay(folder: Path) -> None:
    distributed.barrier()
    (folder / str(rank())).write_text(str(os.getpid()))
    if is_main_process():
        time.sleep(60)
    distributed.barrier()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_to_the_job_ends_its_processes_and_then_the_job(tmp_path, number, monkeypatch):
    module = sys.modules["torch.multiprocessing.spawn"]
    monkeypatch.setattr(module, "_prctl_pr_set_pdeathsig", lambda *_: None)  # which only Linux has
    job = os.fork()
    if not job:
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        try:
            launch(stay, 2, tmp_path)
        finally:
            os._exit(0)
    end = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    remaining = [psutil.Process(int(file.read_text())) for file in tmp_path.iterdir()]
    assert len(remaining) == 2
    os.kill(job, number)
    assert os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]) == -number
    alive = psutil.wait_procs(remaining, timeout=20 if number == signal.SIGKILL else 0)[1]
    for process in alive:
        process.kill()
    assert not alive


def test_processes_that_came_apart_are_an_error(data, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("intermezzo.training.loop.learning_rate", lambda *_: 1e-3 * (1 + rank()))
    with pytest.raises(RuntimeError, match="trained to different weights"):
        train(spec("colour", epochs=1), encoder, data, tmp_path / "m")


def test_a_loss_that_is_no_number_is_one_message(data, encoder, tmp_path):
    with pytest.raises(UserError, match=r"not a number at step \d+ of 12, batch of colour: .*learning_rate"):
        train(spec("colour", learning_rate=1e30), encoder, data, tmp_path / "m")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOLCK, "its file system has no locks .*; make .* a link to a folder on a disk that has them"),
        (errno.ENOSPC, "state cannot be kept there: no space left on the disk.*; make room, and run again"),
        (errno.EIO, "state cannot be kept there: the disk cannot be read or written"),
    ],
)
def test_a_folder_that_holds_no_state_is_one_message(tmp_path, monkeypatch, number, message):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match=f"{tmp_path}/s: .*{message}"), states.state_folder(tmp_path / "s"):
        pass


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="file/s: the training's state cannot be kept there: "),
        states.state_folder(tmp_path / "file" / "s"),
    ):
        pass


# -- as users start it ---------------------------------------------------------------------------------------------


def command(job: FinetuneSpec, encoder: Path, data, out: Path) -> list[str]:
    files = [f"{name}={path}" for name, path in inputs(data, *(task.name for task in job.tasks)).items()]
    return [
        *(sys.executable, "-m", "intermezzo", "stage", "finetune", "--spec", job.canonical()),
        *("--model", str(encoder / "manifest.json"), "--data", *files),
        *("--out", str(out), "--states", str(out.parent / "states")),
    ]


def test_the_command_trains(data, encoder, tmp_path):
    job = spec("colour").replace(processes=2)
    done = subprocess.run(command(job, encoder, data, tmp_path / "m"), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines and all(line.startswith("[") and "m] target: " in line for line in lines), done.stderr
    assert weights(train(spec("colour"), encoder, data, tmp_path / "forked")) == weights(tmp_path / "m")
