"""Start several processes of one program on this machine by torchrun, and end them together.

Rendezvous, watching the processes and ending the others when one fails is torchrun's own work
(`torch.distributed.launcher`). Three things stay ours, since torchrun does not do them:

- processes end when the one that launched them is killed by SIGKILL (on Linux, by prctl);
- the process that failed first is named. torchrun dates failures in whole seconds, but the other
  processes fail within milliseconds of the first;
- the launching process ends by SIGTERM after it has ended the others. torchrun turns the signal
  into an exception and leaves its handler installed.
"""

from __future__ import annotations

import math
import os
import runpy
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

__all__ = ["launch", "leave_word"]

_MODULE = "threetconv.training.torchrun"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux' prctl


def launch(
    processes: int,
    module: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run ``python -m module arguments`` as several processes, which `distributed.join` unites.

    The processes write to this one's stdout and stderr. When one fails, the others are ended. When
    this one ends, in whatever way, they all end.

    Args:
        processes: how many, on this machine.
        module: name of a module to run, as after ``python -m``.
        arguments: of the command line.
        environment: variables to add to this process's. Unless given here, OMP_NUM_THREADS is
            this process's divided among the processes.

    Raises:
        RuntimeError: when a process fails; says which one, and with what error.
    """
    if processes < 1:
        raise ValueError(f"processes={processes} must be at least 1")
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    worker = ["-m", _MODULE, str(os.getpid()), module, *arguments]
    with tempfile.TemporaryDirectory(prefix="threetconv-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=str(uuid.uuid4()),
            rdzv_backend="c10d",
            # port 0 is any free one: several runs may share the machine
            rdzv_endpoint="localhost:0",
            local_addr="127.0.0.1",
            # the caller starts a failed run again; it then goes on from its checkpoint
            max_restarts=0,
            # SIGINT stays a KeyboardInterrupt
            signals_to_handle="SIGTERM",
            # the folder holds the error files of the processes; output is not redirected
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            with _restored():
                os.environ.update(_environment(processes, environment or {}))
                elastic_launch(config, sys.executable)(*worker)
        except ChildFailedError as error:
            lines = [
                f"process {rank} of {processes} failed: {_what(failure)}"
                for rank, failure in sorted(error.failures.items(), key=_moment)
            ]
            raise RuntimeError("\n".join(lines)) from error
        except SignalException as error:
            # the handler is restored by now, so the sender sees what it expects of this process
            os.kill(os.getpid(), error.sigval)
            raise


@contextmanager
def _restored() -> Iterator[None]:
    """Leave the environment and what SIGTERM does as they were."""
    environment, obeyed = dict(os.environ), signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        if signal.getsignal(signal.SIGTERM) is not obeyed:
            signal.signal(signal.SIGTERM, obeyed)


def _environment(processes: int, extra: Mapping[str, str]) -> dict[str, str]:
    """Variables that the processes get in addition to those of this one."""
    # each process would otherwise start a thread per processor
    threads = os.environ.get("OMP_NUM_THREADS", "")
    available = int(threads) if threads.isdecimal() else _processors()
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    own = {
        "OMP_NUM_THREADS": str(max(1, available // processes)),
        # the processes import the package from where this one did
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    if sys.platform == "linux":  # gloo looks up the host name, which may have no address
        own["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
    return own | dict(extra)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _moment(item: tuple[int, ProcessFailure]) -> float:
    """When a process failed; the first one is the cause, since the others fail by losing it.

    A process that a signal ended left no file: it counts as the first, unless the signal was
    SIGTERM, by which torchrun ends the others.
    """
    _, failure = item
    if Path(failure.error_file).is_file():
        return Path(failure.error_file).stat().st_mtime
    return math.inf if failure.exitcode == -signal.SIGTERM else 0.0


def _what(failure: ProcessFailure) -> str:
    if Path(failure.error_file).is_file():
        return str(failure.error_file_data["message"]["message"])
    if failure.exitcode < 0:
        return f"ended by {failure.signal_name()}"
    return f"exit status {failure.exitcode}"


def _worker(parent: str, module: str, *arguments: str) -> None:
    """One of the processes: the module as a program, which leaves its error for torchrun."""
    if sys.platform == "linux":
        import ctypes  # nothing else needs it

        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != int(parent):  # it ended before the request, which then has no effect
            os.kill(os.getpid(), signal.SIGKILL)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except BaseException as error:
        leave_word(error)
        raise


def leave_word(error: BaseException) -> None:
    """Tell torchrun, where this is one of its processes, why this one is about to fail.

    An error file that is there already is kept: later errors follow from the first one.
    """
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path is None or Path(path).exists():
        return
    if isinstance(error, SystemExit):  # a program that has printed its error exits with a status
        if error.code in (None, 0):
            return
        # the exception that the program was handling when it left says more than the status
        error = error.__context__ or error
    get_error_handler().record_exception(error)


if __name__ == "__main__":
    _worker(*sys.argv[1:])
