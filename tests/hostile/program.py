"""A program that runs many commands on hostile files, and reports what each of them did.

It runs as a process of its own, because a hostile file may end it, and because the hook that hears
every file being opened cannot be removed again. Its arguments are a JSON file with the commands and
a JSON file for the reports.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import signal
import sys
import sysconfig
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

SECONDS = 10
"""Longest processor time that a command may take on a hostile file."""

WAIT = 120
"""Longest time that a command may take in all, on a machine that does other things: a command that
opened a pipe would wait for ever."""

ROOT = Path(__file__).resolve().parents[2]

# What belongs to the interpreter, to installed packages and to the system.
OWN = [
    sys.prefix,
    sys.base_prefix,
    *sysconfig.get_paths().values(),
    ROOT / "pcdiff",
    ROOT / "grasp",
]
OWN += ["/proc", "/sys", "/dev/null", "/dev/urandom", "/etc/ld.so.cache", "/etc/localtime"]
OWN += ["/etc/mime.types", "/etc/nsswitch.conf", "/usr/lib", "/usr/share/zoneinfo", "/lib"]


class TookTooLong(BaseException):
    """A command that did not end in time; no reader catches it."""


def too_long(*_: object) -> None:
    raise TookTooLong


class Listener:
    """Collects the files that are opened while it listens."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.listens = False
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and self.listens and isinstance(arguments[0], str | bytes | os.PathLike):
            self.opened.append(str(Path(os.fsdecode(arguments[0])).absolute()))


def run(command: list[str], allowed: list[str], listener: Listener) -> dict[str, Any]:
    """Run one command in this process, and return what it said, opened and took."""
    from grasp import cli as grasp_cli
    from pcdiff import cli as pcdiff_cli
    from pcdiff import console

    app = {"grasp": grasp_cli, "pcdiff": pcdiff_cli}[command[0]].app
    out, err = io.StringIO(), io.StringIO()
    code: Any = "the command returned"
    listener.opened.clear()
    listener.listens = True
    began = time.process_time()
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_REAL, WAIT)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            console.run(app, command[1:])
    except SystemExit as end:
        code = end.code
    except TookTooLong:
        code = f"more than {SECONDS} s"
    except BaseException:
        code = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        listener.listens = False
    seconds = time.process_time() - began
    fine = [*map(str, OWN), *allowed]
    strange = [
        path
        for path in listener.opened
        if not any(path == each or path.startswith(f"{each}{os.sep}") for each in fine)
    ]
    return {
        "code": code,
        "out": out.getvalue(),
        "err": err.getvalue(),
        "strange": strange,
        "seconds": seconds,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    commands = json.loads(Path(sys.argv[1]).read_text())
    # The libraries are loaded before the first command is measured.
    import h5py  # noqa: F401
    import trimesh  # noqa: F401

    import grasp.field.trained  # noqa: F401
    import pcdiff.clouds.generator  # noqa: F401

    tempfile.gettempdir()  # tries once whether it can write a file
    listener = Listener()
    with Path(sys.argv[2]).open("w") as reports:
        for each in commands:
            print(json.dumps(run(each["command"], each["allowed"], listener)), file=reports)
            reports.flush()


if __name__ == "__main__":
    main()
