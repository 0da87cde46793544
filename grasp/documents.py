"""Readers of JSON, YAML and TOML files, and checks of the values in the files.

The parameter `what` of a check is the value's name in the error message. Checks raise `InputError`
if the value has the wrong type. Nothing is converted silently: a number in quotes, true, false, NaN
and infinity do not count as numbers.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from pcdiff.errors import InputError
from pcdiff.texts import parse_json as parse_json
from pcdiff.texts import parse_toml
from pcdiff.untrusted import read_bytes

if TYPE_CHECKING:
    import yaml

_SURROGATE = re.compile("[\ud800-\udfff]")

LARGEST_FILE = 2**28
"""Largest accepted file size in bytes.

A grasp takes approximately 400 bytes in JSON. Its values take more in memory, so that a file of
about 300,000 grasps is the largest that `pcdiff.untrusted.check_json` accepts."""

LARGEST_TOML = 2**18
"""Largest accepted size of a TOML file in bytes; a gripper file has 1 or 2 thousand."""

MOST_YAML_VALUES = 2_000_000
"""Largest accepted number of values in a YAML file.

A value takes about 500 bytes of memory while YAML is read. A grasp has about 20 values."""

MOST_FREE_VALUES = 100_000
"""Largest accepted number of values in a mapping whose content is kept without being understood."""

DEEPEST_NESTING = 100
"""Largest accepted depth of nested lists and mappings in YAML; a grasp file has 6 to 10 levels."""


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the mapping in a `.json`, `.yaml` or `.yml` file.

    Args:
        path: File to read.

    Raises:
        InputError: As `read_value`, or if the file does not contain a mapping.
    """
    return mapping("the top level", read_value(path))


def read_value(path: str | os.PathLike[str]) -> Any:
    """Read the value in a `.json`, `.yaml` or `.yml` file.

    A YAML file may end with `---`, as the messages that ROS prints do.

    Args:
        path: File to read.

    Raises:
        InputError: If the file is too large or truncated, is not written in the language of its
            extension, or contains several YAML documents.
    """
    path = Path(path)
    content = read_bytes(path, LARGEST_FILE)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"the file is not UTF-8 text: {error.reason}") from error
    return parse_json(text) if path.suffix.lower() == ".json" else _parse_yaml(text)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a .toml file.

    Args:
        path: File to read.
        what: Kind of file for error messages, such as "gripper file".

    Raises:
        InputError: If the file cannot be read or is not a TOML file.
    """
    try:
        content = read_bytes(path, LARGEST_TOML).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the {what} {path}: it is not UTF-8 text") from error
    except InputError as error:
        raise InputError(f"cannot read the {what}: {error}") from error
    return parse_toml(content, f"the {what} {path}")


def check_keys(
    entries: dict[str, Any], expected: Set[str], source: str, ignored: Set[str] = frozenset()
) -> None:
    """Check that a mapping has the expected keys and no other keys.

    Args:
        entries: Mapping to check.
        expected: Keys that the mapping must have.
        source: Name of the mapping in the error message.
        ignored: Further keys that the mapping may have.

    Raises:
        InputError: If a key is missing or unknown.
    """
    missing = sorted(expected - entries.keys())
    unknown = sorted(entries.keys() - expected - ignored)
    if missing:
        raise InputError(f"{source} lacks the required {', '.join(missing)}")
    if unknown:
        raise InputError(
            f"{source} has the unknown entry {', '.join(unknown)}, "
            f"expected {', '.join(sorted(expected))}"
        )


def _parse_yaml(text: str) -> Any:
    import yaml

    flattened: set[yaml.Node] = set()

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """A safe loader that reads 1e-05 as a number (YAML 1.2) and rejects repeated keys."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            # Merging with << may repeat keys on purpose, so the check for duplicates precedes the
            # merge. A node that is merged in several places is visited more than once.
            if node not in flattened:
                flattened.add(node)
                _check_unique_keys(node)
                super().flatten_mapping(node)

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )
    try:
        _check_yaml_size(yaml.parse(text, Loader))
        loader = Loader(text)
        try:
            value = loader.get_data() if loader.check_data() else None
            while loader.check_data():
                if loader.get_data() is not None:
                    raise InputError("the text must be one YAML document, got several")
            return value
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        raise InputError(
            f"the text is not YAML: {error.problem or error.context}{where}"
        ) from error
    except InputError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # bad characters or impossible dates
        raise InputError(f"the text is not YAML: {' '.join(str(error).split())}") from error
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # PyYAML assumes that a text matches its tag: !!bool "abc" raises a KeyError.
        raise InputError("the text is not YAML: a value does not match its tag") from error
    except RecursionError as error:
        raise InputError("the values are nested too deeply") from error


def _check_yaml_size(events: Iterator[yaml.Event]) -> None:
    """Check the depth and the number of values, before anything is built in memory.

    The fast loader recurses in C, so deep nesting would crash the process. An alias costs nothing,
    because all aliases of a value share the value. But merging with << copies, so in a file that
    merges an alias counts as a copy: with ten aliases of ten aliases of … a few lines would
    otherwise stand for any number of values.
    """
    import yaml

    sizes: dict[str | None, int] = {}  # number of values under each anchor, with copies
    open_values: list[tuple[str | None, int]] = []  # anchor, and number of values before it
    stated = copied = 0
    merges = False
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            stated += 1
            copied += sizes.get(event.anchor, 1)  # a value that contains itself is not copied
        elif isinstance(event, yaml.ScalarEvent):
            stated += 1
            copied += 1
            sizes[event.anchor] = 1
            merges = merges or event.value == "<<"
        elif isinstance(event, yaml.CollectionStartEvent):
            sizes.pop(event.anchor, None)
            open_values.append((event.anchor, copied))
            stated += 1
            copied += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_values.pop()
            sizes[anchor] = copied - before
        if len(open_values) > DEEPEST_NESTING:
            raise InputError("the values are nested too deeply")
        if stated > MOST_YAML_VALUES or (merges and copied > MOST_YAML_VALUES):
            what = "values with the copies of its aliases" if stated < copied else "values"
            raise InputError(f"the file must have at most {MOST_YAML_VALUES} {what}, got more")


def _check_unique_keys(node: yaml.MappingNode) -> None:
    names = set()
    for key, _ in node.value:
        name = (key.tag, key.value) if isinstance(key.value, str) else key
        if name in names:
            raise InputError(
                f"a mapping has the key {kind_of(key.value)} more than once, "
                f"at line {key.start_mark.line + 1}"
            )
        names.add(name)


def kind_of(value: object) -> str:
    """Describe a value for an error message.

    A mapping or list is described by its type, and another value by its text, which is shortened to
    at most 40 characters.
    """
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of length {len(value)}"
    try:
        shown = repr(value)
    except ValueError:  # YAML and TOML can write thousands of digits in hexadecimal
        return "a number of thousands of digits"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def mapping(what: str, value: object) -> dict[str, Any]:
    """Return the value if it is a mapping."""
    if not isinstance(value, dict):
        raise InputError(f"{what} must be a mapping, got {kind_of(value)}")
    return value


def sequence(what: str, value: object) -> list[Any]:
    """Return the value if it is a list."""
    if not isinstance(value, list):
        raise InputError(f"{what} must be a list, got {kind_of(value)}")
    return value


def text(what: str, value: object) -> str:
    """Return the value if it is a string."""
    if not isinstance(value, str):
        raise InputError(f"{what} must be text, got {kind_of(value)}")
    return value


def number(what: str, value: object) -> float:
    """Return the value as a float if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{what} must be a number, got {kind_of(value)}")
    try:
        result = float(value)
    except OverflowError:  # an integer too large for float64
        result = math.inf
    if not math.isfinite(result):
        raise InputError(f"{what} must be finite, got {kind_of(value)}")
    return result


def boolean(what: str, value: object) -> bool:
    """Return the value as a bool if it is true, false, 1 or 0.

    Success labels in grasp files use all four spellings.
    """
    if not isinstance(value, bool | int | float) or value not in (0, 1):
        raise InputError(f"{what} must be true or false, got {kind_of(value)}")
    return bool(value)


def vector(what: str, value: object, length: int = 3) -> Float[np.ndarray, " length"]:
    """Return the value as an array if it is a list of `length` finite numbers."""
    if not isinstance(value, list) or len(value) != length:
        raise InputError(f"{what} must be a list of {length} numbers, got {kind_of(value)}")
    return np.array([number(f"number {i} of {what}", entry) for i, entry in enumerate(value)])


def matrix(what: str, value: object) -> Float[np.ndarray, "4 4"]:
    """Return the value as an array if it is a list of four rows of four finite numbers."""
    if not isinstance(value, list) or len(value) != 4:
        raise InputError(f"{what} must be a list of 4 rows, got {kind_of(value)}")
    return np.stack([vector(f"row {i} of {what}", row, 4) for i, row in enumerate(value)])


def small_mapping(what: str, value: object) -> dict[str, Any]:
    """Return the value if it is a mapping of at most `MOST_FREE_VALUES` values at all depths.

    In YAML a value may contain another value many times, or itself; every place counts.
    """
    entries = mapping(what, value)
    left: list[Any] = [entries]
    count = 0
    while left:
        each = left.pop()
        inside = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        count += len(inside)
        if count > MOST_FREE_VALUES:
            raise InputError(f"{what} must have at most {MOST_FREE_VALUES} values, got more")
        left += [part for part in inside if isinstance(part, dict | list)]
    return entries


def stack(matrices: list[Float[np.ndarray, "4 4"]]) -> Float[np.ndarray, "grasps 4 4"]:
    """Stack matrices in one array; an empty list gives an empty array of shape (0, 4, 4)."""
    return np.array(matrices, np.float64).reshape(-1, 4, 4)


def optional(place: dict[str, Any], key: str, parse_value: Callable[[str, object], Any]) -> Any:
    """Parse a value of a mapping; return None if the value is null or absent."""
    value = place.get(key)
    return None if value is None else parse_value(key, value)


def rotation_of(
    what: str, quaternion_xyzw: Float[np.ndarray, "4"], tolerance: float = 1e-3
) -> Float[np.ndarray, "3 3"]:
    """Convert a unit quaternion, possibly rounded to a few digits, to a rotation matrix.

    Args:
        what: Name of the quaternion in the error message.
        quaternion_xyzw: The quaternion with its scalar part last.
        tolerance: Largest accepted difference between the quaternion's norm and 1.

    Raises:
        InputError: If the quaternion does not have unit length.
    """
    from scipy.spatial.transform import Rotation

    norm = float(np.linalg.norm(quaternion_xyzw))
    if abs(norm - 1) > tolerance:
        raise InputError(f"{what} must have norm 1, got {norm:.6g}")
    return Rotation.from_quat(quaternion_xyzw).as_matrix()


def to_json(what: str, value: object) -> str:
    """Write a value as one line of JSON.

    Args:
        what: Name of the value in the error message.
        value: Value to write.

    Raises:
        InputError: If JSON cannot represent the value.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"JSON cannot represent {what}: {error}") from error
    # A surrogate is no character of UTF-8, but JSON can spell it.
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
