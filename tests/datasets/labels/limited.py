"""Programs that end in time, and with them all that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

_MARK = "LABELS_TEST_RUN"


def run(command: Sequence[str | os.PathLike[str]], folder: Path, log: Path, seconds: float) -> None:
    """Run a program; the test fails if it does, or if it is not done in time.

    Whatever it has started ends too, also what left its group and session as Ray's servers do: it
    is known by a variable of the environment. Linux alone tells of that.

    Args:
        command: the program and its arguments.
        folder: to run it in.
        log: a file for what it prints. A pipe would stay open as long as anything that it started.
        seconds: that it has.
    """
    mark = uuid.uuid4().hex
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        pytest.fail(f"not done in {seconds:g} s: {log.read_text()[-2000:]}")
    finally:
        process.kill()
        process.wait()
        _end_all(mark)
    assert code == 0, log.read_text()


def _end_all(mark: str) -> None:
    """Kill the processes with the mark; again, until none is left that one of them had begun."""
    while pids := _marked(mark):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        # Gone, or of another user. That of a process that has ended and waits for its parent is
        # empty.
        with contextlib.suppress(OSError):
            if f"{_MARK}={mark}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found
