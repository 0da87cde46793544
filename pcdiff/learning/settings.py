"""Files with the sizes of networks, in TOML or JSON, and checks of their entries."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pcdiff.bounds import shown
from pcdiff.errors import InputError
from pcdiff.texts import parse_json, parse_toml
from pcdiff.untrusted import read_bytes

LARGEST_SIZE = 65_536
"""Largest accepted width or number of layers; a larger number is probably a typing error."""

_LARGEST_FILE = 2**20  # bytes


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the settings in a `.toml` or `.json` file.

    Args:
        path: File to read.

    Returns:
        The settings by name; tables are dictionaries.

    Raises:
        InputError: If the file has another extension, cannot be read, is not valid, or its top
            level is not a table.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".toml", ".json"):
        raise InputError(f"the settings file {path} must end in .toml or .json")
    try:
        text = read_bytes(path, _LARGEST_FILE).decode("utf-8-sig")
        entries = parse_json(text) if ending == ".json" else parse_toml(text, "the text")
    except InputError as error:
        raise InputError(f"the settings file {path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the settings file {path} is not UTF-8 text: {error.reason}") from error
    if not isinstance(entries, dict):
        raise InputError(f"the top level of the settings file {path} must be a table")
    return entries


def check_names(where: str, entries: object, known: Collection[str]) -> dict[str, Any]:
    """Check that a table has only known entries, and return the table.

    Args:
        where: Name of the table in the error message.
        entries: Table to check.
        known: Names of all entries that the table may have.

    Raises:
        InputError: If `entries` is not a table, or has an unknown entry.
    """
    if not isinstance(entries, dict):
        raise InputError(f"{where} must be a table, got {shown(entries)}")
    unknown = sorted(str(name) for name in entries if name not in known)
    if unknown:
        raise InputError(
            f"{where} has the unknown entry {', '.join(unknown)}, expected {', '.join(known)}"
        )
    return entries


def check_like(where: str, entries: object, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Check that the entries of a table have the types of their defaults, and return the table.

    Args:
        where: Name of the table in the error message.
        entries: Table to check.
        defaults: Default of every entry that the table may have. The default decides what is
            accepted: true or false; a whole number from 1 to `LARGEST_SIZE`; a finite number; a
            list of such whole numbers; or a text.

    Raises:
        InputError: If an entry is unknown or has a wrong value.
    """
    table = check_names(where, entries, defaults)
    for name, value in table.items():
        holds, expected = _rule(defaults[name])
        if not holds(value):
            raise InputError(f"{where}.{name} must be {expected}, got {shown(value)}")
    return table


def _rule(default: Any) -> tuple[Any, str]:
    """Return a check of a value, and a description of accepted values, for a default."""
    if isinstance(default, bool):
        return (lambda value: isinstance(value, bool)), "true or false"
    if isinstance(default, int):
        return _is_size, f"a whole number from 1 to {LARGEST_SIZE}"
    if isinstance(default, float):
        return _is_number, "a finite number"
    if isinstance(default, tuple | list):
        expected = f"a list of whole numbers from 1 to {LARGEST_SIZE}"
        return (lambda value: isinstance(value, list) and value and all(map(_is_size, value))), (
            expected
        )
    return (lambda value: isinstance(value, str)), "a text"


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIZE


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Python compares integers of any size with floats exactly, without an overflow.
    return abs(value) <= sys.float_info.max
