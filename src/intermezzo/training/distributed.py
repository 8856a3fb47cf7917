"""One training by several processes of one machine (data parallel), with the result of one process.

`launch` starts the processes by torchrun's agent (torch.distributed.elastic), with nccl and a GPU for each, or with
gloo on CPUs. All of them read the same data and hold the same model. Each computes its part of every batch, and the
gradients of the parts are summed (`intermezzo.training.gradient`), so that all take the same step. The main process
(rank 0) alone writes files and reports progress. When a process fails or is killed, the agent ends the others.

A training in one process uses the same functions; they then have nothing to exchange.
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

from intermezzo.core.errors import UserError, machine_fault
from intermezzo.core.folders import remove, temporary_folder
from intermezzo.core.logs import configure

INIT_TIMEOUT = timedelta(days=1)
"""How long a process waits for the others. A dead one is noticed at once; this is for one that hangs."""
START = "spawn"
"""How processes start (multiprocessing): a fork could not use a GPU that its parent has used."""
_GRACE = 20.0
"""Seconds in which the agent ends a process whose exchange has failed."""
_USER = f"{UserError.__name__}: "
Result = TypeVar("Result")
log = logging.getLogger(__name__)


# -- the processes -----------------------------------------------------------------------------------------------------


def launch(job: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Call `job(*arguments)`: here, or in `processes` processes at once.

    job: a function of a module, arguments: what can be pickled. Raises UserError with the message of a process that
    raised one, or saying which was killed; RuntimeError with the traceback of any other failure. The others have then
    ended. A signal that ends a program ends the processes, then this one. What the main process prints is printed, and
    its messages are shown from the level that this process shows.
    """
    if processes == 1:
        return job(*arguments)
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # else gloo looks up the host's name
    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    }
    level, threshold = log.getEffectiveLevel(), logging.root.manager.disable
    logging.disable(logging.ERROR)  # the agent's messages; there will be one of ours
    end_signal: signal.Signals | None = None
    folder = temporary_folder(tempfile.gettempdir())
    try:
        settings = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=folder.name,
            role="",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            start_method=START,
            logs_specs=DefaultLogsSpecs(str(folder), redirects=Std.ALL, tee=Std.ALL, local_ranks_filter={0}),
            log_line_prefix_template="${role_name}",  # none
        )
        try:
            elastic_launch(settings, _process)((job, arguments, level))
        except ChildFailedError as error:
            raise _failure(*error.get_first_failure(), processes, folder) from None
        except SignalException as stop:
            end_signal = stop.sigval
        finally:
            logging.disable(threshold)
            for number, handler in handlers.items():
                signal.signal(number, handler)
    finally:
        remove(folder)
    if end_signal is not None:
        os.kill(os.getpid(), end_signal)
        raise SystemExit(1)  # should that not have been the end


def _failure(number: int, failure: Any, processes: int, folder: Path) -> Exception:
    """The exception that tells why a training of several processes ended."""
    which = f"process {number + 1} of {processes} of this training"
    if isinstance(failure.message, dict):
        message = failure.message["message"]
        if message.startswith(_USER):
            return UserError(message.removeprefix(_USER))
        return RuntimeError(f"{which}:\n{failure.message['extraInfo']['py_callstack']}")
    files = folder.glob(f"*/attempt_0/{number}/stderr.log")
    lines = [line for file in files for line in file.read_text().splitlines()]
    how = f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else f"ended with status {failure.exitcode}"
    last = "".join(f"\n  {line}" for line in lines[-5:]) if number else ""  # those of the main process were shown
    return UserError(f"{which} {how} (out of memory?); run again, it goes on from its last state{last}")


def _process(work: tuple[Callable[..., None], tuple[Any, ...], int]) -> None:
    """One of the processes: find the others, do the job. work: job, arguments, level of the messages to show."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # the end at once, also while waiting for another process
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    job, arguments, level = work
    logging.disable(logging.NOTSET)
    configure(level)
    try:
        _use_gpu(int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"]))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=INIT_TIMEOUT)
        job(*arguments)
        dist.destroy_process_group()
    except Exception as error:
        if (message := machine_fault(error)) is None:
            raise
        raise UserError(message) from None


def _use_gpu(number: int, processes: int) -> None:
    """Use the GPU of this process, where there are any. Raises UserError when there are fewer GPUs than processes."""
    if not torch.cuda.is_available():
        return
    if (gpus := torch.cuda.device_count()) < processes:
        raise UserError(
            f"processes: {processes}, but this job has {gpus} GPU(s), and each process needs one; "
            f"set `processes` to {gpus} or less, or give the job more GPUs"
        )
    torch.cuda.set_device(number)


def _exit_with_parent() -> None:
    """End with the agent, however that ended, and also if that was before this process knew its rank."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


# -- what they exchange ------------------------------------------------------------------------------------------------


def rank() -> int:
    """The number of this process among those that train together, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main_process() -> bool:
    """Whether this is rank 0, the process that writes files."""
    return rank() == 0


def barrier() -> None:
    """Wait until all processes are here."""
    all_gather(None)


def all_gather(value: Any) -> list[Any]:
    """The values of all processes, by rank; `value` is what can be pickled."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    with _exchange():
        dist.all_gather_object(values, value)
    return values


def broadcast_from_main(work: Callable[[], Result]) -> Result:
    """Call `work` in the main process alone; all have its result."""
    result: Result = all_gather(work() if is_main_process() else None)[0]
    return result


def all_reduce_max(values: Sequence[int]) -> list[int]:
    """The maximum of each number over the processes; without waiting for a GPU."""
    if world_size() == 1:
        return list(values)
    numbers = torch.tensor(values, dtype=torch.int64)
    with _exchange():
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
    maxima: list[int] = numbers.tolist()
    return maxima


def all_reduce_gradients(parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor) -> torch.Tensor:
    """Replace each parameter's `grad` by the sum over all processes, and return that of `loss`: one exchange.

    A parameter without a gradient in any process has none afterwards, so that an optimizer leaves it alone.
    """
    if world_size() == 1:
        return loss
    has_grad = all_reduce_max([parameter.grad is not None for parameter in parameters])
    trained = [parameter for parameter, has in zip(parameters, has_grad, strict=True) if has]
    parts = [p.grad.flatten() if p.grad is not None else torch.zeros_like(p).flatten() for p in trained]
    like = parts[0] if parts else loss
    bucket = torch.cat([*parts, loss.to(like)[None]])
    del parts, like
    for parameter in trained:
        parameter.grad = None  # freed before the exchange
    with _exchange():
        dist.all_reduce(bucket)
    start = 0
    for parameter in trained:
        parameter.grad = bucket[start : start + parameter.numel()].view_as(parameter)
        start += parameter.numel()
    return bucket[-1].clone()


def broadcast_weights(modules: torch.nn.Module) -> None:
    """Give all processes the weights and buffers of the main one."""
    if world_size() > 1:
        with _exchange(), torch.no_grad():
            for values in modules.state_dict().values():
                dist.broadcast(values, 0)


def weights_in_sync(parameters: Iterable[torch.Tensor]) -> bool:
    """Whether all processes have the same weights, by their sums."""
    if world_size() == 1:
        return True
    with torch.no_grad():
        sums = [float(values.double().sum()) for values in parameters]
    return all(rank_sums == sums for rank_sums in all_gather(sums))


@contextmanager
def _exchange() -> Iterator[None]:
    """An exchange. If it fails, another process has failed: the agent ends this one before it raises its own error."""
    try:
        yield
    except RuntimeError:
        time.sleep(_GRACE)
        raise
