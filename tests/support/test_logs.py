"""A step's log: everything in its file, the message alone where the user looks."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from threetconv.errors import InputError
from threetconv.support.logs import progress_to, step_log

SCRIPT = """
import sys
from threetconv.errors import InputError
from threetconv.support.logs import step_log
with step_log(sys.argv[1]) as log:
    log.info("begun")
    if sys.argv[2] == "input":
        raise InputError("videos/a.avi", found="no video", expected="a video", remedy="record it")
    if sys.argv[2] == "bug":
        raise ZeroDivisionError("oops")
print("after")
"""


def run(path: Path, case: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), case], capture_output=True, text=True, check=False
    )


def test_bad_input_ends_the_process_with_its_message_alone(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "decode.log"
    done = run(path, "input")
    assert done.returncode == 1
    assert "after" not in done.stdout
    assert "videos/a.avi" in done.stderr
    assert "remedy:   record it" in done.stderr
    assert "Traceback" not in done.stderr
    text = path.read_text()
    assert "INFO begun" in text
    assert "remedy:   record it" in text
    assert "Traceback" not in text


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    done = run(tmp_path / "a.log", "bug")
    assert done.returncode == 1
    assert "ZeroDivisionError: oops" in done.stderr
    assert "Traceback" in (tmp_path / "a.log").read_text()


def test_a_good_step_says_nothing_to_the_user(tmp_path: Path) -> None:
    done = run(tmp_path / "a.log", "good")
    assert (done.returncode, done.stdout, done.stderr) == (0, "after\n", "")
    assert "begun" in (tmp_path / "a.log").read_text()


def test_warnings_reach_the_terminal_under_the_steps_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with step_log(tmp_path / "decode.log"):
        logging.getLogger("threetconv.clips.dataset").warning("a short clip")
        logging.getLogger("threetconv.clips.dataset").info("clip 1")
    assert capsys.readouterr().err == "[decode] a short clip\n"
    lines = (tmp_path / "decode.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["WARNING a short clip", "INFO clip 1"]


def test_the_logger_is_left_as_it_was(tmp_path: Path) -> None:
    log = logging.getLogger("threetconv")
    handlers, level = list(log.handlers), log.level
    error = InputError("x", found="a", expected="b", remedy="c")
    with pytest.raises(SystemExit) as caught, step_log(tmp_path / "a.log"):
        raise error
    assert caught.value.code == 1
    assert (log.handlers, log.level) == (handlers, level)


def test_a_log_begins_anew(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with step_log(tmp_path / "a.log") as log:
            log.info(text)
    assert "first" not in (tmp_path / "a.log").read_text()


def test_progress_is_told_now_and_then_and_at_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 6.0, 7.0, 8.0])
    monkeypatch.setattr("threetconv.support.logs.time.monotonic", lambda: next(clock))
    log = logging.getLogger("threetconv.test")
    with caplog.at_level(logging.INFO, logger="threetconv"):
        report = progress_to(log, "clips", every=5)
        for done in (1, 2, 3, 4):
            report(done, 4)
    lines = [r.getMessage() for r in caplog.records if r.name == "threetconv.test"]
    assert lines == ["clips: 2 of 4, 6 s to go", "clips: 4 of 4, 0 s to go"]


def test_file_names_that_are_no_text_are_logged(tmp_path: Path) -> None:
    """As backslashes and digits; the logging module would print a traceback instead."""
    code = (
        "import os, sys; from threetconv.support.logs import step_log\n"
        "with step_log(sys.argv[1]) as log: log.warning(os.fsdecode(b'caf\\xe9.txt'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.log")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "WARNING caf\\udce9.txt" in (tmp_path / "a.log").read_text()
    assert done.stderr == "[a] caf\\udce9.txt\n"
