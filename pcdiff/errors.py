"""The error for wrong input, as opposed to an error of the program."""

from __future__ import annotations


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
