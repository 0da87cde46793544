"""JSON and YAML files as trees of plain values, and the values in them one by one.

Every function that takes `what` names a place in the file for the message, and raises `InputError`
when another kind of value is there. Nothing is converted in silence: a number in quotes, a true or
false, NaN and infinity are not numbers.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from pcdiff.errors import InputError

if TYPE_CHECKING:
    import yaml

LARGEST_FILE = 2**28
"""Bytes; a grasp takes about 400 in JSON, so this is over half a million of them."""

DEEPEST = 100
"""Levels of lists and mappings in YAML; a grasp file has about 6, with a sampler a few more."""


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The mapping that a `.json`, `.yaml` or `.yml` file holds.

    Raises:
        InputError: the file is too large, cut short, not in the language of its extension, or
            holds something else than a mapping.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise InputError(f"it has {size} bytes, more than the {LARGEST_FILE} that a grasp file may")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"it is not text in UTF-8: {error.reason}") from error
    value = _parse_json(text) if path.suffix.lower() == ".json" else _parse_yaml(text)
    if not isinstance(value, dict):
        raise InputError(f"it must hold a mapping at its top, got {kind_of(value)}")
    return value


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise InputError("it is empty") from error
        at_the_end = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
        cut = ", as if it were cut short" if at_the_end else ""
        raise InputError(
            f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}{cut}"
        ) from error
    except InputError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise InputError(f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise InputError("its values are nested too deep for a grasp file") from error


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"it has a mapping with the key {kind_of(twice)} more than once")
    return entries


def _parse_yaml(text: str) -> Any:
    import yaml

    flattened: set[yaml.Node] = set()

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """The safe loader, but 1e-05 is a number, as in YAML 1.2, and a key may be there once."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            # What is merged into a mapping (<<) may repeat its keys and is added to it here, and
            # one that is merged elsewhere comes by more than once.
            if node not in flattened:
                flattened.add(node)
                _refuse_twice(node)
                super().flatten_mapping(node)

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )
    try:
        # The fast loader recurses in C, where too deep a file ends the process: look first.
        depth = 0
        for event in yaml.parse(text, Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise InputError("its values are nested too deep for a grasp file")
        loader = Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        raise InputError(f"it is not YAML: {error.problem or error.context}{where}") from error
    except InputError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # bad characters; impossible dates
        raise InputError(f"it is not YAML: {' '.join(str(error).split())}") from error
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # PyYAML takes for granted that a text fits its tag: !!bool "abc" is a KeyError.
        raise InputError("it is not YAML: a value in it is not of the kind of its tag") from error
    except RecursionError as error:
        raise InputError("its values are nested too deep for a grasp file") from error


def _refuse_twice(node: yaml.MappingNode) -> None:
    names = set()
    for key, _ in node.value:
        name = (key.tag, key.value) if isinstance(key.value, str) else key
        if name in names:
            raise InputError(
                f"it has a mapping with the key {kind_of(key.value)} more than once, "
                f"in line {key.start_mark.line + 1}"
            )
        names.add(name)


def kind_of(value: object) -> str:
    """What a message calls a value: its kind, and itself where that is short."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    try:
        shown = repr(value)
    except ValueError:  # thousands of digits, which YAML and TOML can write in hexadecimal
        return "a number of thousands of digits"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def mapping(what: str, value: object) -> dict[str, Any]:
    """A mapping."""
    if not isinstance(value, dict):
        raise InputError(f"{what} must be a mapping, got {kind_of(value)}")
    return value


def sequence(what: str, value: object) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise InputError(f"{what} must be a list, got {kind_of(value)}")
    return value


def text(what: str, value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise InputError(f"{what} must be text, got {kind_of(value)}")
    return value


def number(what: str, value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{what} must be a number, got {kind_of(value)}")
    try:
        result = float(value)
    except OverflowError:  # an integer beyond float64
        result = math.inf
    if not math.isfinite(result):
        raise InputError(f"{what} must be finite, got {kind_of(value)}")
    return result


def label(what: str, value: object) -> bool:
    """True or false, which labels also write as 1 and 0."""
    if not isinstance(value, bool | int | float) or value not in (0, 1):
        raise InputError(f"{what} must be true or false, got {kind_of(value)}")
    return bool(value)


def vector(what: str, value: object, length: int = 3) -> Float[np.ndarray, " length"]:
    """A list of so many numbers."""
    if not isinstance(value, list) or len(value) != length:
        raise InputError(f"{what} must be a list of {length} numbers, got {kind_of(value)}")
    return np.array([number(f"number {i} of {what}", entry) for i, entry in enumerate(value)])


def matrix(what: str, value: object) -> Float[np.ndarray, "4 4"]:
    """Four rows of four numbers."""
    if not isinstance(value, list) or len(value) != 4:
        raise InputError(f"{what} must be a list of 4 rows, got {kind_of(value)}")
    return np.stack([vector(f"row {i} of {what}", row, 4) for i, row in enumerate(value)])


def stack(matrices: list[Float[np.ndarray, "4 4"]]) -> Float[np.ndarray, "grasps 4 4"]:
    """The matrices as one array, also when there are none."""
    return np.array(matrices, np.float64).reshape(-1, 4, 4)


def optional(place: dict[str, Any], key: str, parse_value: Callable[[str, object], Any]) -> Any:
    """A value of a mapping, or None where it is null or absent."""
    value = place.get(key)
    return None if value is None else parse_value(key, value)


def rotation_of(
    what: str, quaternion_xyzw: Float[np.ndarray, "4"], tolerance: float = 1e-3
) -> Float[np.ndarray, "3 3"]:
    """The rotation of a quaternion that is rounded to a few digits.

    Args:
        what: what the message calls it.
        quaternion_xyzw: the scalar last.
        tolerance: how far its norm may be from 1.

    Raises:
        InputError: it is not of unit length.
    """
    from scipy.spatial.transform import Rotation

    norm = float(np.linalg.norm(quaternion_xyzw))
    if abs(norm - 1) > tolerance:
        raise InputError(f"{what} must have norm 1, got {norm:.6g}")
    return Rotation.from_quat(quaternion_xyzw).as_matrix()


def to_json(what: str, value: object) -> str:
    """A value in one line of JSON.

    Raises:
        InputError: JSON cannot hold it.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be what JSON can hold: {error}") from error
