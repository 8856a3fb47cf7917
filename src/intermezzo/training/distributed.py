"""One training by several processes of one machine (data parallel), with the result of one process.

`launch` starts them by torchrun's agent (torch.distributed.elastic): nccl between GPUs, one for each process, gloo
between CPUs. All of them read the same data and hold the same model; of each batch every one computes its part, and
the parts' gradients are summed (`intermezzo.training.gradient`), so that all take the same step. The first process
alone writes files and says how far the training is. When one of them fails or is killed, the agent ends the others.

In a process of its own, which is what all other trainings are, the functions below have nothing to exchange.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from intermezzo.core.errors import UserError, describe_os_error

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: a dead one is seen at once, this is for one that hangs."""
START = "spawn"
"""How processes start (multiprocessing): a fork could not use a GPU that its parent has used."""
_GRACE = 20.0
_USER = f"{UserError.__name__}: "
Result = TypeVar("Result")


# -- the processes -----------------------------------------------------------------------------------------------------


def launch(job: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Call `job(*arguments)`: here, or in `processes` processes at once.

    job: a function of a module, arguments: what can be pickled. Raises UserError with the message of a process that
    raised one, or saying which was killed; RuntimeError with the traceback of any other failure. The others are then
    gone. A signal that ends a program ends the processes, then this one. What the first process prints is printed.
    """
    if processes == 1:
        return job(*arguments)
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # else gloo looks up the host's name
    kept = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    }
    logging.disable(logging.ERROR)  # the agent's; there will be one message
    ended_by: signal.Signals | None = None
    with tempfile.TemporaryDirectory(prefix="intermezzo-", ignore_cleanup_errors=True) as folder:
        settings = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=Path(folder).name,
            role="",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            start_method=START,
            logs_specs=DefaultLogsSpecs(folder, redirects=Std.ALL, tee=Std.ALL, local_ranks_filter={0}),
            log_line_prefix_template="${role_name}",  # none
        )
        try:
            elastic_launch(settings, _process)((job, arguments))
        except ChildFailedError as error:
            raise _reason(*error.get_first_failure(), processes, Path(folder)) from None
        except SignalException as stopped:
            ended_by = stopped.sigval
        finally:
            logging.disable(logging.NOTSET)
            for number, handler in kept.items():
                signal.signal(number, handler)
    if ended_by is not None:
        os.kill(os.getpid(), ended_by)
        raise SystemExit(1)  # should that not have been the end


def _reason(number: int, failure: Any, processes: int, folder: Path) -> Exception:
    """The exception that tells why a training of several processes ended."""
    which = f"process {number + 1} of {processes} of this training"
    if isinstance(failure.message, dict):
        message = failure.message["message"]
        if message.startswith(_USER):
            return UserError(message.removeprefix(_USER))
        return RuntimeError(f"{which}:\n{failure.message['extraInfo']['py_callstack']}")
    printed = [line for log in folder.glob(f"*/attempt_0/{number}/stderr.log") for line in log.read_text().splitlines()]
    how = f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else f"ended with status {failure.exitcode}"
    last = "".join(f"\n  {line}" for line in printed[-5:]) if number else ""  # what the first prints was shown
    return UserError(f"{which} {how} (out of memory?); run again, it goes on from its last state{last}")


def _process(work: tuple[Callable[..., None], tuple]) -> None:
    """One of the processes: find the others, do the job."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # the end at once, also while waiting for another process
    threading.Thread(target=_follow, daemon=True).start()
    job, arguments = work
    try:
        _claim(int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"]))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
        job(*arguments)
        dist.destroy_process_group()
    except Exception as error:
        if (message := describe_os_error(error)) is None:
            raise
        raise UserError(message) from None


def _claim(number: int, processes: int) -> None:
    """Take the GPU of this process, where there are any."""
    if not torch.cuda.is_available():
        return
    if (found := torch.cuda.device_count()) < processes:
        raise UserError(
            f"processes: {processes}, but this job has {found} GPU(s), and each process needs one; "
            f"set `processes` to {found} or less, or give the job more GPUs"
        )
    torch.cuda.set_device(number)


def _follow() -> None:
    """End with the agent, however that ended, and also if that was before this process knew what it is."""
    multiprocessing.parent_process().join()
    os._exit(1)


# -- what they exchange ------------------------------------------------------------------------------------------------


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def leads() -> bool:
    """Whether this is the process that writes files."""
    return rank() == 0


def wait() -> None:
    """Until all processes are here."""
    gathered(None)


def gathered(value: Any) -> list[Any]:
    """The values of all processes, in their order."""
    if processes() == 1:
        return [value]
    values: list[Any] = [None] * processes()
    with _together():
        dist.all_gather_object(values, value)
    return values


def led(work: Callable[[], Result]) -> Result:
    """The result of what the first process alone does."""
    return gathered(work() if leads() else None)[0]


def highest(values: Sequence[int]) -> list[int]:
    """Of each number the highest that a process has; without waiting for a GPU."""
    if processes() == 1:
        return list(values)
    numbers = torch.tensor(values, dtype=torch.int64)
    with _together():
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
    return numbers.tolist()


def sum_gradients(parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor) -> torch.Tensor:
    """Replace each parameter's `grad` by the sum over all processes, and return that of `loss`: one exchange.

    A parameter without a gradient in any process has none afterwards, so that an optimizer leaves it alone.
    """
    if processes() == 1:
        return loss
    there = highest([parameter.grad is not None for parameter in parameters])
    touched = [parameter for parameter, has in zip(parameters, there, strict=True) if has]
    parts = [p.grad.flatten() if p.grad is not None else torch.zeros_like(p).flatten() for p in touched]
    where = parts[0] if parts else loss
    bucket = torch.cat([*parts, loss.to(where)[None]])
    del parts, where
    for parameter in touched:
        parameter.grad = None  # freed before the exchange
    with _together():
        dist.all_reduce(bucket)
    at = 0
    for parameter in touched:
        parameter.grad = bucket[at : at + parameter.numel()].view_as(parameter)
        at += parameter.numel()
    return bucket[-1].clone()


def copy_weights(modules: torch.nn.Module) -> None:
    """Give all processes the weights and buffers of the first."""
    if processes() > 1:
        with _together(), torch.no_grad():
            for values in modules.state_dict().values():
                dist.broadcast(values, 0)


def same(parameters: Iterable[torch.Tensor]) -> bool:
    """Whether all processes have the same weights, by their sums."""
    if processes() == 1:
        return True
    with torch.no_grad():
        sums = [float(values.double().sum()) for values in parameters]
    return all(others == sums for others in gathered(sums))


@contextmanager
def _together() -> Iterator[None]:
    """An exchange. If it fails, another process has: the agent saw that one end, and ends this one before it speaks."""
    try:
        yield
    except RuntimeError:
        time.sleep(_GRACE)
        raise
