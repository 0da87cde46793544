"""Run programs with a time limit, and end everything that they have started."""

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
    """Run a program; fail the test if the program fails or takes too long.

    All processes that the program started end too, even those that left its group and session, as
    Ray's servers do. They are recognised by an environment variable, which only Linux shows.

    Args:
        command: Program and its arguments.
        folder: Working folder of the program.
        log: File for the output. A pipe would stay open as long as any process that it started.
        seconds: Time limit in seconds.
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
        end_all(mark)
    assert code == 0, log.read_text()


def end_all(mark: str) -> None:
    """Kill the processes with the mark, and repeat, because they may have started others."""
    while pids := _marked(mark):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        # Reading fails if the process is gone or belongs to another user. The environment of a
        # process that has ended and waits for its parent is empty.
        with contextlib.suppress(OSError):
            if f"{_MARK}={mark}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found
