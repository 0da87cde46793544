"""Parsers of JSON and TOML that strangers wrote."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from typing import Any

from pcdiff.bounds import shown
from pcdiff.errors import InputError
from pcdiff.untrusted import check_json

LONGEST_TOML_LINE = 2000
"""Largest accepted number of characters in a line of TOML."""


def parse_json(text: str) -> Any:
    """Parse JSON, and refuse mappings with repeated keys.

    Args:
        text: The text to parse.

    Raises:
        InputError: If the text is not JSON, a mapping has a repeated key, or values are nested too
            deeply.
    """
    check_json(text)
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise InputError("the text is empty, expected JSON") from error
        at_the_end = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
        cut = "; the text may be truncated" if at_the_end else ""
        raise InputError(
            f"the text is not JSON: {error.msg} at line {error.lineno}, column {error.colno}{cut}"
        ) from error
    except InputError:
        raise
    except ValueError as error:  # an integer with thousands of digits
        raise InputError(f"the text is not JSON: {error}") from error
    except RecursionError as error:
        raise InputError("the values are nested too deeply") from error


def parse_toml(text: str, what: str) -> dict[str, Any]:
    """Parse TOML.

    Args:
        text: The text to parse.
        what: Name of the text at the start of error messages.

    Raises:
        InputError: If the text is not TOML, has a line of more than `LONGEST_TOML_LINE` characters,
            or values are nested too deeply.
    """
    longest = max(map(len, text.split("\n")))
    if longest > LONGEST_TOML_LINE:  # a key of thousands of parts takes minutes to parse
        raise InputError(
            f"{what} must have lines of at most {LONGEST_TOML_LINE} characters, got a line of "
            f"{longest}"
        )
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"{what} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise InputError(f"{what} has values nested too deeply") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise InputError(f"a mapping has the key {shown(twice)} more than once")
    return entries
