"""Checks that a number from a configuration or an option has a sensible type and size."""

from __future__ import annotations

import math
from numbers import Integral, Real

from pcdiff.errors import InputError


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Check that a value is a whole number within limits, so that nothing absurd is allocated.

    Args:
        name: Name of the value, for the error message and for `InputError.parameter`.
        value: Value to check. True and False are not numbers.
        least: Smallest accepted number.
        most: Largest accepted number.

    Raises:
        InputError: If the value is not a whole number, or is outside the limits.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= value <= most:  # type: ignore[operator]
        raise InputError(
            f"{name} must be a whole number from {least} to {most}, got {shown(value)}",
            parameter=name,
        )


def check_real(name: str, value: object, least: int | float, most: int | float) -> None:
    """Check that a value is a finite number within limits.

    Args:
        name: Name of the value, for the error message and for `InputError.parameter`.
        value: Value to check. True and False are not numbers.
        least: Smallest accepted number.
        most: Largest accepted number.

    Raises:
        InputError: If the value is not a number, is NaN, or is outside the limits.
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    # Python compares integers of any size with floats exactly, without an overflow.
    if not real or not least <= value <= most or value in (math.inf, -math.inf):  # type: ignore[operator]
        raise InputError(
            f"{name} must be a number from {least:g} to {most:g}, got {shown(value)}",
            parameter=name,
        )


def shown(value: object, longest: int = 60) -> str:
    """Return the text of a value for an error message, shortened to at most `longest` characters.

    Args:
        value: Value to show.
        longest: Largest number of characters.
    """
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # a number of thousands of digits, or a deep nesting
        return f"a value of type {type(value).__name__} that is too large to show"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
