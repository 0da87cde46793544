"""Options, error messages, progress bars and JSON output that all commands share.

Library errors never name a command-line option. If the user needs to know the option, the library
raises `InputError(message, parameter="kl_weight")`, and the command states which option sets the
parameter:

    @name_options(kl_weight="--kl-weight")
    def train(...) -> None: ...

The user then reads "error: kl_weight must be ..., got inf (--kl-weight)".
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pcdiff.errors import InputError
from pcdiff.untrusted import printable

# Options of all commands.

Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all random numbers.")]
Device = Annotated[str, typer.Option(help="Device: cpu, cuda, or cuda:N for GPU number N.")]
Threads = Annotated[
    int,
    typer.Option(min=0, max=4096, help="Number of CPU threads; 0 lets torch choose the number."),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the results on standard output as one JSON object."),
]

# Options of the commands that train.

RunFolder = Annotated[Path, typer.Option(help="Folder for the files of the training run.")]
OptimizerSteps = Annotated[
    int, typer.Option(min=1, max=10**9, help="Total number of optimizer steps.")
]
LearningRate = Annotated[float, typer.Option(help="Highest learning rate of the Adam optimizer.")]
EmaDecay = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Decay factor of the moving average of the weights, per optimizer step."
    ),
]
ValidateEvery = Annotated[
    int,
    typer.Option(
        min=1,
        max=10**9,
        help="Number of steps between two validations; each validation saves the model.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the run in the --output folder, or start a run if the folder has no run. "
        "With more --steps, a finished run is extended.",
    ),
]
InitializeFrom = Annotated[
    str | None,
    typer.Option(help="Initial weights: the name of published weights or the path of a file."),
]
Width = Annotated[
    int | None,
    typer.Option(
        min=1, max=65_536, help="Width of the network's hidden layers.", show_default="see the docs"
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Sizes of the networks and other settings of a new model: .toml or .json."
    ),
]
TensorBoard = Annotated[
    bool,
    typer.Option(
        "--tensorboard", help="Also write event files for TensorBoard into the --output folder."
    ),
]

# typer may contain its own copy of click, with its own class UsageError. The base class of
# typer.BadParameter is the class UsageError that typer raises.
_UsageError: Any = typer.BadParameter.__bases__[0]


INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended."""


def application(summary: str) -> typer.Typer:
    """Create a command-line program that has no commands yet.

    The program and its commands take `-h` and `--help`. The program also takes
    `--install-completion`, which lets the user's shell complete commands and options.

    Args:
        summary: First line of the program's `--help` text.
    """
    return typer.Typer(
        help=summary,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a program, then exit with code 0 on success or with code 2 after bad input.

    Bad input is reported as one sentence on standard error. After Ctrl-C the exit code is
    `INTERRUPTED`, and a command with an option `--resume` prints how to continue.

    Args:
        app: The program.
        arguments: Command-line arguments of the program; None means the arguments of this
            process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _warnings_in_one_line():
            code = app(args=given or ["--help"], standalone_mode=False)
        with _standard_output():  # a full disk raises an error here, not at exit
            sys.stdout.flush()
    except InputError as error:
        code = _complain(str(error))
    except _UsageError as error:
        code = _complain(error.format_message())
    except typer.Abort:
        code = INTERRUPTED
    except OSError as error:
        where = error.filename or "the system does not name the file"
        code = _complain(f"{error.strerror or error}: {where}")
    except MemoryError as error:
        code = _complain(f"the program ran out of memory: {error}".removesuffix(": "))
    # Depending on its version, typer raises Abort after Ctrl-C or returns the exit code.
    command = _to_continue(app, given) if code == INTERRUPTED else None
    if command is not None and _speaks():
        typer.echo(printable(f"interrupted; to continue, run: {command}"), err=True)
    sys.exit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def name_options(**options: str) -> Iterator[None]:
    """Append the name of a command-line option to an `InputError` that names a parameter.

    Use this function as a decorator of a command, or in a `with` statement around a library call.

    Args:
        **options: For each parameter, the option that sets this parameter, such as
            `name_options(kl_weight="--kl-weight", distances="--no-emd")`.

    Raises:
        InputError: The original error, with the option in parentheses at the end of the message.
            An error that names no parameter, or a parameter that is not in `options`, is raised
            unchanged.
    """
    try:
        yield
    except InputError as error:
        option = options.get(error.parameter or "")
        if option is None:
            raise
        raise InputError(f"{error} ({option})") from error


def _complain(sentence: str) -> int:
    if _speaks():
        typer.echo(printable(f"error: {' '.join(sentence.split())}"), err=True)
    return 2


def _to_continue(app: typer.Typer, given: list[str]) -> str | None:
    """Return the command line that continues an interrupted run, or None if nothing can."""
    command: Any = typer.main.get_command(app)
    # A program with a single command has no names of commands.
    commands = getattr(command, "commands", None)
    if commands is not None:
        command = commands.get(next(iter(given), ""))
    if command is None or "resume" not in {each.name for each in command.params}:
        return None
    program = Path(sys.argv[0])
    words = [program.name]
    if program.name == "__main__.py":  # started by python -m
        words = ["python", "-m", program.parent.name]
    return shlex.join([*words, *given, *([] if "--resume" in given else ["--resume"])])


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print each warning as one line without the place in the program that raised it."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        yield


def _show_warning(message: Warning | str, *place: object, **more: object) -> None:
    if _speaks():
        typer.echo(printable(f"warning: {' '.join(str(message).split())}"), err=True)


def _speaks() -> bool:
    """Return True if this process prints; under `torchrun` only the first process prints."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """Add the file name "standard output" to a system error that the `with` block raises."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def check_file(path: Path) -> None:
    """Check before long work that a file can be written.

    The check leaves all files and folders unchanged.

    Args:
        path: Path of the file. Its folder may be missing, and an existing file may be replaced.

    Raises:
        InputError: If the path exists and is not a regular file, or if its folder cannot be created
            or is not writable.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"cannot write {path}: the path exists and is not a regular file")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Check before long work that files can be written into a folder.

    The check leaves all files and folders unchanged.

    Args:
        path: Path of the folder, which may be missing.

    Raises:
        InputError: If the folder cannot be created or is not writable.
    """
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise InputError(f"cannot write into {path}: {error.strerror or error}") from error


class Session:
    """One run of a command: its run time, its device and its output.

    Args:
        command: Name of the command, e.g. "pcdiff sample".
        seed: Seed of all random numbers of the run.
        device: Requested device: "cpu", "cuda" or "cuda:N".
        threads: Number of CPU threads for torch; 0 lets torch choose the number.
        as_json: True to print the results as JSON instead of text.

    Raises:
        InputError: If the device has an invalid name or cannot be used on this machine.
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

    def note(self, text: str) -> None:
        """Print a remark on standard error, separately from the results.

        Under `torchrun` only the first process prints.
        """
        if _speaks():
            typer.echo(printable(text), err=True)

    def finish(self, results: dict[str, Any], text: str) -> None:
        """Print the results, as one JSON object or as human-readable text.

        Under `torchrun` only the first process prints.

        Args:
            results: Results of the command, in values that JSON can represent.
            text: The same results as human-readable text.
        """
        if not _speaks():
            return
        if not self.as_json:
            with _standard_output():
                typer.echo(printable(text))
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
    """Return the version of the installed distribution."""
    try:
        return importlib.metadata.version("pcdiff-grasp")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@contextlib.contextmanager
def progress(
    description: str, total: int | None, shown: bool = True, after: float = 0.0
) -> Iterator[Callable[..., None]]:
    """Show a progress bar on standard error.

    Args:
        description: Text to the left of the bar.
        total: Number of units of work; None if unknown.
        shown: False to hide the bar. The bar is also hidden if standard error is not a terminal.
        after: Seconds of work after which the bar appears, so that short work shows no bar.

    Yields:
        A function that advances the bar: `advance()` by one unit and `advance(n)` by n units.
        `advance(n, "loss 0.12")` also shows the note "loss 0.12" next to the bar, and
        `advance(n, total=m)` changes the number of units of work to m.
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
    bar = Progress(*columns, console=console, disable=not (shown and console.is_terminal))
    task, begin = bar.add_task(description, total=total, note=""), time.monotonic()

    def advance(steps: int = 1, note: str | None = None, total: int | None = None) -> None:
        bar.update(task, advance=steps, total=total)
        if note is not None:
            bar.update(task, note=note)
        if time.monotonic() - begin >= after:
            bar.start()  # does nothing if the bar is already there

    try:
        if not after:
            bar.start()
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()


def _cpu_seconds() -> float:
    """Return the processor time of this process and its finished child processes, in seconds."""
    return sum(os.times()[:4])


def _check_device(device: str) -> None:
    import torch

    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise InputError(f"the device must be cpu, cuda or cuda:N, got {device!r}")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device!r} cannot be used on this machine: {reason}") from error
