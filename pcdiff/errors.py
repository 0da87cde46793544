"""The error that means "the input is wrong", as opposed to "the program is wrong"."""

from __future__ import annotations


class InputError(ValueError):
    """Something a user supplied (a file, an array, an option) cannot be used.

    The message is one sentence that names what is wrong, what was expected and what was given. It
    never names a command-line option, because the library does not know which program calls it. The
    command line prints the message and exits with code 2 (see `pcdiff.console.name_options`); every
    other exception is a bug and keeps its traceback.

    Attributes:
        parameter: Name of the function parameter or configuration field to change, e.g.
            "kl_weight", so that a command can name the option that sets it. None if the error is
            not about one parameter.
    """

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
