"""Start several processes of one program on this machine, by torchrun, and end them together."""

from __future__ import annotations

import json
import math
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

__all__ = ["launch", "leave_word"]

PATIENCE = 60.0  # seconds; torchrun itself ends its processes by force after 30
_MODULE = "threetconv.training.torchrun"
_MESSAGE = "message.txt"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux' prctl


def launch(
    processes: int,
    module: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run ``python -m module arguments`` as several processes, which `distributed.join` unites.

    Output and errors of the processes go where this one's go. When one fails, the others are ended;
    when this one is ended, in whatever way, so are they all.

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
    with _passed_on() as told, tempfile.TemporaryDirectory(prefix="threetconv-") as folder:
        command = [sys.executable, "-m", _MODULE, "agent", str(os.getpid()), folder]
        command += [str(processes), module, *arguments]
        with subprocess.Popen(command, env=_environment(processes, environment)) as agent:
            told.append(agent)
            try:
                status = agent.wait()
            finally:
                _end(agent)
        if status != 0:
            message = Path(folder, _MESSAGE)
            raise RuntimeError(
                message.read_text(encoding="utf-8")
                if message.exists()
                else f"torchrun ended with status {status} before its {processes} processes did"
            )


def _environment(processes: int, extra: Mapping[str, str] | None) -> dict[str, str]:
    threads = os.environ.get("OMP_NUM_THREADS", "")
    available = int(threads) if threads.isdecimal() else _processors()
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    own = {
        "OMP_NUM_THREADS": str(max(1, available // processes)),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),  # as found by whoever launches
    }
    if sys.platform == "linux":  # the name of a machine may have no address
        own["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
    return {**os.environ, **own, **(extra or {})}


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@contextmanager
def _passed_on() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Pass SIGTERM on to the processes in the list, let them end, and only then obey it."""
    told: list[subprocess.Popen[bytes]] = []
    if threading.current_thread() is not threading.main_thread():
        yield told  # only the main thread hears of signals
        return
    heard: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        heard.append(number)
        for process in told:
            process.terminate()  # not waited for here: the wait under way would never return

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)
        if heard:
            os.kill(os.getpid(), heard[0])


def _end(agent: subprocess.Popen[bytes]) -> None:
    if agent.poll() is None:
        agent.terminate()
        try:
            agent.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            agent.kill()


def _die_with_parent(parent: int, number: signal.Signals) -> None:
    """Have the system send this process a signal when its parent dies, if only by SIGKILL."""
    if sys.platform == "linux":
        import ctypes  # nothing else needs it

        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, number)
        if os.getppid() != parent:  # too late
            os.kill(os.getpid(), number)


def _agent(parent: str, folder: str, processes: str, module: str, *arguments: str) -> int:
    """torchrun, which leaves a message of what went wrong."""
    _die_with_parent(int(parent), signal.SIGTERM)
    os.environ["TORCHELASTIC_ERROR_FILE"] = f"{folder}/first.json"  # or torchrun misses it aloud
    from torch.distributed import run  # slow, and not for whoever launches
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={processes}"]
    worker = ["-m", _MODULE, "worker", str(os.getpid())]
    try:
        run.main([*options, f"--log-dir={folder}", *worker, module, *arguments])
    except ChildFailedError as error:
        lines = [
            f"process {rank} of {processes} failed: {_what(failure)}"
            for rank, failure in sorted(error.failures.items(), key=_moment)
        ]
        Path(folder, _MESSAGE).write_text("\n".join(lines), encoding="utf-8")
        return 1
    return 0


def _moment(item: tuple[int, ProcessFailure]) -> float:
    """When a process failed, for finding the first; the others then failed by losing it.

    One that was ended by a signal left no file. Those that SIGTERM ended come last: so torchrun
    ends the others.
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


def _worker(parent: str, module: str, *arguments: str) -> int:
    """One of the processes: the module as a program, which leaves its error for torchrun."""
    _die_with_parent(int(parent), signal.SIGKILL)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except BaseException as error:
        leave_word(error)
        raise
    return 0


def leave_word(error: BaseException) -> None:
    """Tell torchrun, where this is one of its processes, why this one is about to fail.

    The first word stands: what goes wrong later follows from it.
    """
    path = Path(os.environ.get("TORCHELASTIC_ERROR_FILE", os.devnull))
    if path.exists() or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, SystemExit):  # a program says what is wrong and leaves with a status
        message = str(error.__context__ or f"exit status {error.code}")
    extra = {
        "py_callstack": "".join(traceback.format_exception(error)),
        "timestamp": str(int(time.time())),
    }
    document = {"message": {"message": message, "extraInfo": extra}}
    path.write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    role = _agent if sys.argv[1] == "agent" else _worker
    sys.exit(role(*sys.argv[2:]))
