"""The error for wrong input, as opposed to an error of the program."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

LONGEST_CAUSE = 120
"""Largest number of characters of a library's message in an error message."""


class InputError(ValueError):
    """An error that reports unusable input of the user, such as a file, an array or an option.

    The message is one sentence that names the wrong input, what was expected and what was found. It
    never names a command-line option, because the library does not know which program calls it. A
    command prints the message and exits with code 2 (see `pcdiff.console.run`). Every other
    exception is a bug and is shown with its traceback.

    Attributes:
        parameter: Name of the function parameter or configuration field to change, e.g.
            "kl_weight", so that a command can name the option that sets the parameter (see
            `pcdiff.console.name_options`). None if no single parameter must be changed.
    """

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Turn every unexpected error of a reader into an `InputError` that names file and cause.

    Use it around the code that reads one file. Libraries do not document what they raise for a
    damaged file, so that a list of exception types is never complete. The original exception is the
    `__cause__` of the `InputError`.

    Args:
        path: File that the `with` block reads.
        kind: What the file should be, with its article, e.g. "a PLY file".

    Raises:
        InputError: If the block raises any `Exception`; an `InputError` is raised unchanged.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        # Libraries raise it, too, without a number of the operating system.
        reason = error.strerror or cause_of(error)
        kind = "" if error.strerror else f" as {kind}"
        raise InputError(f"{path} cannot be read{kind}: {reason}") from error
    except Exception as error:
        raise InputError(f"{path} cannot be read as {kind}: {cause_of(error)}") from error


def cause_of(error: Exception) -> str:
    """Describe an exception of a library in a few words, on one line.

    Returns:
        "it needs more memory than there is" for a `MemoryError`; otherwise the name of the
        exception's type and the start of its message.
    """
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    message = " ".join(str(error).split()).removeprefix(f"{type(error).__name__}: ")
    if len(message) > LONGEST_CAUSE:
        message = message[: LONGEST_CAUSE - 1] + "…"
    name = type(error).__name__
    return f"{name}: {message}" if message else name
