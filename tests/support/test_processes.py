"""Worker processes end: with their pool, with a task that dies, with a killed parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

import threetconv
from threetconv.support.processes import Workers, pool, worker_died

SRC = str(Path(threetconv.__file__).parents[1])


def test_results_come_from_other_processes() -> None:
    with pool(2) as workers:
        pids = {workers.submit(os.getpid).result() for _ in range(4)}
    assert os.getpid() not in pids
    assert workers.count == 2
    workers.close()


def test_at_least_one() -> None:
    with pytest.raises(ValueError, match="max_workers"):
        Workers(0)


def test_a_death_does_not_hang() -> None:
    with pool(1) as workers, pytest.raises(BrokenProcessPool):
        workers.submit(os._exit, 3).result(timeout=60)


@pytest.mark.parametrize("task", ["os.getpid", "time.sleep, 600"], ids=["idle", "busy"])
def test_end_when_their_parent_is_killed(task: str) -> None:
    """They hold the parent's standard output: reading it to its end waits for all of them."""
    script = (
        f"import os, sys, time; sys.path.insert(0, {SRC!r})\n"
        "from threetconv.support.processes import pool\n"
        "with pool(2) as workers:\n"
        "    for _ in range(2): workers.submit(time.sleep, 0.2)\n"
        "    workers.submit(os.getpid).result()\n"
        f"    tasks = [workers.submit({task}) for _ in range(2)]\n"
        "    time.sleep(0.3)\n"
        "    print('ready', len(workers._executor._processes), flush=True)\n"
        "    time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    try:
        assert run.stdout.readline() == "ready 2\n"
    finally:
        run.kill()
    assert run.communicate(timeout=20) == ("", None)
    assert run.returncode == -signal.SIGKILL


def test_message_of_a_death_names_the_first() -> None:
    paths = [f"clip{i}.avi" for i in range(40)]
    text = str(worker_died(paths))
    assert "clip0.avi, clip1.avi," in text
    assert "clip15.avi and 24 more" in text
    assert "clip16.avi" not in text
    assert "more." not in str(worker_died(paths[:2]))
