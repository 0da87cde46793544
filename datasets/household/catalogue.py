"""Write and read a set of objects: a folder with meshes, convex parts and a catalogue.

```
FOLDER/catalogue.json          list of the objects
FOLDER/meshes/NAME.obj         surface in metres
FOLDER/meshes/NAME.parts.obj   convex parts, if known, as groups `o part_i`
FOLDER/sheet.png               pictures of some of the objects
```

`grasp.objects.loading.load_object` reads a mesh together with its file of convex parts. Numbers
have enough digits to be read back exactly.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from datasets.household.objects import HouseholdObject
from datasets.household.shapes import Polyhedron
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

FORMAT = "pcdiff-grasp/objects"
VERSION = 1
CATALOGUE = "catalogue.json"
MESHES = "meshes"

_NAME = re.compile(r"[A-Za-z0-9._+-]{1,240}")
"""Pattern of valid object names, which become file names."""


@dataclass(frozen=True)
class Entry:
    """One object of a catalogue.

    Attributes:
        name: Name of the object, unique in the set; letters, digits and `. _ + -`.
        family: Name of the family.
        seed: Seed of the set.
        index: Position in the set, starting at 0.
        file: Path of the surface's mesh file, relative to the folder, with forward slashes.
        parts: Path of the file of convex parts, relative to the folder, with forward slashes; None
            if the parts are unknown.
        sha256: SHA-256 of the content of `file`, as hexadecimal digits.
        mass: Mass in kilograms.
        friction: Coefficient of friction against a gripper's pads.
        licence: Licence of the mesh.
        parameters: Randomly drawn values by name, as in `HouseholdObject`.

    Raises:
        InputError: If a value has the wrong type or is out of its range, or a path leads out of the
            folder.
    """

    name: str
    family: str
    seed: int
    index: int
    file: str
    parts: str | None
    sha256: str
    mass: float
    friction: float
    licence: str
    parameters: dict[str, float | int | str]

    def __post_init__(self) -> None:
        check_name(self.name)
        for field, (holds, expected) in _RULES.items():
            value = getattr(self, field)
            if not holds(value):
                raise InputError(
                    f"the {field} of the object {self.name} must be {expected}, got {value!r:.80}"
                )


def check_name(name: Any) -> None:
    """Raise an error if an object's name cannot be a file name.

    Args:
        name: Name to check.

    Raises:
        InputError: If the name does not consist of 1 to 240 letters, digits and `. _ + -`.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            "the name of an object must be a text of 1 to 240 letters, digits and the characters "
            f". _ + -, got {name!r:.80}"
        )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf


def _is_inside(value: Any) -> bool:
    """Return whether a value is a relative path inside its folder on every operating system."""
    if not _is_text(value) or re.search(r"[\\:\0]", value):
        return False
    path = PurePosixPath(value)
    return not path.is_absolute() and path.parts != () and ".." not in path.parts


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "family": (_is_text, "a text of at least 1 character"),
    "seed": (_is_count, "an integer of 0 or more"),
    "index": (_is_count, "an integer of 0 or more"),
    "file": (_is_inside, "a path inside the folder"),
    "parts": (lambda value: value is None or _is_inside(value), "a path inside the folder or null"),
    "sha256": (_is_text, "a text of at least 1 character"),
    "mass": (_is_positive, "a number above 0"),
    "friction": (_is_positive, "a number above 0"),
    "licence": (_is_text, "a text of at least 1 character"),
    "parameters": (lambda value: isinstance(value, dict), "a JSON object"),
}
"""For each field except the name, a check of the value and a description of valid values."""


def write_set(
    folder: Path,
    objects: Iterable[HouseholdObject],
    source: dict[str, Any],
    licence: str,
    advance: Callable[[], None] = lambda: None,
) -> list[Entry]:
    """Write a set of objects into a folder, which may already contain a set from the same source.

    The catalogue is replaced. Meshes of objects that the new catalogue does not list stay in the
    folder.

    Args:
        folder: Folder to write; it is created if it is missing.
        objects: Objects, in the order of the catalogue.
        source: Origin of the set and the options of the program, as a JSON object. It must not
            contain the number of objects, so that a set can be extended.
        licence: Licence of the meshes.
        advance: Function that is called after each object.

    Returns:
        The entries of the catalogue.

    Raises:
        InputError: If the folder contains a set from another source, there are no objects, or a
            file cannot be written.
    """
    path = folder / CATALOGUE
    if path.exists() and _read(path)["source"] != source:
        raise InputError(
            f"{folder} contains a set from another source, {json.dumps(_read(path)['source'])}, "
            f"expected an empty folder or a set from the source {json.dumps(source)}"
        )
    entries = []
    for each in objects:
        entries.append(write_object(folder, each, licence))
        advance()
    if not entries:
        raise InputError(f"there are no objects to write to {folder}, expected at least one object")
    write_catalogue(folder, entries, source)
    return entries


def write_catalogue(folder: Path, entries: Sequence[Entry], source: dict[str, Any]) -> None:
    """Write the catalogue of a set.

    Args:
        folder: Folder of the set.
        entries: Entries of the objects.
        source: Origin of the set and the options of the program, as a JSON object.

    Raises:
        InputError: If the catalogue cannot be written.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "unit": "metre",
        "source": source,
        "objects": [asdict(entry) for entry in entries],
    }
    with atomic_write(folder / CATALOGUE) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write_object(folder: Path, thing: HouseholdObject, licence: str) -> Entry:
    """Write the mesh and the convex parts of an object.

    Args:
        folder: Folder of the set.
        thing: Object to write.
        licence: Licence of the mesh.

    Raises:
        InputError: If the object's name cannot be a file name, or a file cannot be written.
    """
    check_name(thing.name)
    file, parts = f"{MESHES}/{thing.name}.obj", f"{MESHES}/{thing.name}.parts.obj"
    content = obj_text([Polyhedron(thing.vertices, thing.faces)], [thing.name]).encode()
    if thing.parts:
        names = [f"part_{number}" for number in range(len(thing.parts))]
        with atomic_write(folder / parts) as temporary:
            temporary.write_text(obj_text(thing.parts, names), encoding="utf-8")
    # The mesh is written last, so that the file of parts of every mesh is complete.
    with atomic_write(folder / file) as temporary:
        temporary.write_bytes(content)
    return Entry(
        name=thing.name,
        family=thing.family,
        seed=thing.seed,
        index=thing.index,
        file=file,
        parts=parts if thing.parts else None,
        sha256=hashlib.sha256(content).hexdigest(),
        mass=thing.mass,
        friction=thing.friction,
        licence=licence,
        parameters=thing.parameters,
    )


def read_catalogue(folder: Path) -> list[Entry]:
    """Read the entries of a set's catalogue.

    Args:
        folder: Folder of the set.

    Raises:
        InputError: If the catalogue does not exist, has another format or version, lists no
            objects, or has an invalid entry.
    """
    path = folder / CATALOGUE
    objects = _read(path)["objects"]
    if not isinstance(objects, list) or not objects:
        raise InputError(f"{path} lists no objects, expected at least one object")
    expected = {field.name for field in fields(Entry)}
    entries = []
    for number, each in enumerate(objects):
        if not isinstance(each, dict) or each.keys() != expected:
            raise InputError(
                f"{path}: object {number}, counted from 0, has unexpected or missing fields, "
                f"expected the fields {', '.join(sorted(expected))}"
            )
        try:
            entries.append(Entry(**each))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return entries


def obj_text(meshes: Sequence[Polyhedron], names: Sequence[str]) -> str:
    """Return the text of one Wavefront OBJ file with an `o` group for each mesh.

    Args:
        meshes: Meshes to write.
        names: Name of each mesh.
    """
    lines, first = [], 1
    for (vertices, faces), name in zip(meshes, names, strict=True):
        lines.append(f"o {name}")
        lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (faces + first).tolist()]
        first += len(vertices)
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as a catalogue of objects: {error}") from error
    if not isinstance(document, dict) or not {"format", "source", "objects"} <= document.keys():
        raise InputError(
            f"{path} is not a catalogue of objects, expected the fields format, source and objects"
        )
    found = document["format"], document.get("version")
    if found != (FORMAT, VERSION):
        raise InputError(
            f"{path} has format {found[0]} version {found[1]}, expected {FORMAT} version {VERSION}"
        )
    return document
