"""What every command of the project shares: options, errors, progress bars, the JSON record."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pcdiff.errors import InputError

Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda or cuda:N.")]
Threads = Annotated[int, typer.Option(min=0, max=4096, help="CPU threads; 0 lets torch choose.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]

# typer may carry its own copy of click; its public BadParameter tells where the errors live.
_UsageError: Any = typer.BadParameter.__bases__[0]


def application(summary: str) -> typer.Typer:
    """An empty command line program; `summary` is the first line of its `--help`."""
    return typer.Typer(
        help=summary,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a program and exit: 0 when done, 2 with one sentence on standard error for bad input.

    Args:
        app: the program.
        arguments: its command line; by default the process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=given or ["--help"], standalone_mode=False)
        with _standard_output():  # a full disk behind it shows here, not at exit
            sys.stdout.flush()
    except InputError as error:
        code = _complain(str(error))
    except _UsageError as error:
        code = _complain(error.format_message())
    except typer.Abort:
        code = 130
    except OSError as error:
        where = error.filename or "the system does not say of which file"
        code = _complain(f"{error.strerror or error}: {where}")
    except MemoryError as error:
        code = _complain(f"there is not enough memory for this: {error}")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(sentence: str) -> int:
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        typer.echo(f"error: {' '.join(sentence.split())}", err=True)
    return 2


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """An error of the system in this context names standard output, as it would name a file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def check_file(path: Path) -> None:
    """Raise unless a file can be written there, before work that would be lost.

    Nothing is made or changed.

    Args:
        path: of the file; folders may be missing, and a file that is there may be replaced.

    Raises:
        InputError: it is there and no regular file, or its folder cannot be written into.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"cannot write {path}: it is there and is not a regular file")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Raise unless files can be written into a folder, before work that would be lost.

    Nothing is made or changed.

    Args:
        path: of the folder, which may be missing.

    Raises:
        InputError: it cannot be made or written into.
    """
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise InputError(f"cannot write into {path}: {error.strerror or error}") from error


class Session:
    """One run of a command: its clocks, its device, and the record that it prints.

    Args:
        command: the command's name, e.g. "pcdiff sample".
        seed: the seed it runs with.
        device: the device asked for.
        threads: CPU threads for torch, 0 to let it choose.
        as_json: print the record, not the text.

    Raises:
        InputError: if there is no such device.
    """

    def __init__(
        self, command: str, seed: int, device: str = "cpu", threads: int = 0, as_json: bool = False
    ) -> None:
        self.command, self.seed, self.device, self.as_json = command, seed, device, as_json
        self._wall, self._cpu = time.monotonic(), _cpu_seconds()
        if threads:
            import torch

            torch.set_num_threads(threads)
        if device != "cpu":
            _check_device(device)

    def finish(self, results: dict[str, Any], text: str) -> None:
        """Print the results: as one JSON object, or as text for a person.

        Args:
            results: what the command found or made.
            text: the same for a person.
        """
        if not self.as_json:
            with _standard_output():
                typer.echo(text)
            return
        record = {
            "command": self.command,
            "version": version(),
            "seed": self.seed,
            "device": self.device,
            "seconds": round(time.monotonic() - self._wall, 3),
            "cpu_seconds": round(_cpu_seconds() - self._cpu, 3),
            "results": results,
        }
        with _standard_output():
            typer.echo(json.dumps(record, indent=2, allow_nan=False))


def version() -> str:
    """The version of the installed distribution."""
    try:
        return importlib.metadata.version("pcdiff-grasp")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@contextlib.contextmanager
def progress(description: str, total: int, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A progress bar on standard error, if it is to be shown and that is a terminal.

    Yields a function that advances it: `advance()` by one, `advance(n)` by n, and
    `advance(n, "loss 0.12")` also shows a note.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Remaining(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(steps: int = 1, note: str | None = None) -> None:
            bar.advance(task, steps)
            if note is not None:
                bar.update(task, note=note)

        yield advance


def _cpu_seconds() -> float:
    """Processor seconds of this process and its finished children."""
    return sum(os.times()[:4])


def _check_device(device: str) -> None:
    import torch

    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise InputError(f"device {device!r}: expected cpu, cuda or cuda:N")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device!r} cannot be used here: {reason}") from error
