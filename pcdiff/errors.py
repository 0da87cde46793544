"""The error that means "the input is wrong", as opposed to "the program is wrong"."""


class InputError(ValueError):
    """Raised when something the user supplied (a file, an array, an option) cannot be used.

    The message is one sentence that names the thing, what was expected and what came. The command
    line prints it and exits with code 2. Every other exception is a bug and keeps its traceback.
    """
