"""Read frozen benchmark sets, on which sources of grasps are compared.

```
FOLDER/set.json        the cases, and the digest of every file
FOLDER/meshes/…        meshes in metres, with exact convex parts (NAME.parts.obj) if they are known
FOLDER/rough/…         damaged copies of meshes, which a sampler sees in place of the mesh
FOLDER/views/…         depth images of meshes, written by `grasp.objects.views.write_view`
```

`python -m datasets.frozen` makes these folders. A set has a list of cases:

```json
{"format": "pcdiff-grasp/benchmark", "version": 1, "unit": "metre",
 "name": "resting", "digest": "…", "about": "…", "licence": "MIT",
 "files": {"meshes/mug.obj": "sha256 of the bytes of the file", …},
 "cases": [{"name": "mug-pose-1", "group": "mug", "truth": "meshes/mug.obj",
            "seen": "meshes/mug.obj", "T_table_object": [[…], …], "origin": {…}}, …]}
```

Physics uses the mesh `truth`; a sampler gets only `seen`. Both are in the frame of the truth's
file, and so are the poses of grasps. `T_table_object` is null, or the pose of that frame on a
table. The table fills z < 0 of its own frame, as in `grasp.scenes.scene.Scene`.

The digest of the set is the SHA-256 of the text that `sealed` writes, without the digest itself.
The text contains the digests of all files, so a set whose digest is known cannot be changed without
notice. Nothing in a set is executed or unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float

from grasp import documents
from grasp.objects.cleaning import MAXIMUM_COORDINATE, frozen
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.objects.views import read_view
from grasp.poses.rigid import check_poses
from grasp.scenes.scene import Scene
from pcdiff.errors import InputError
from pcdiff.geometry.limits import read_bytes

FORMAT = "pcdiff-grasp/benchmark"
VERSION = 1
SET_FILE = "set.json"
"""Name of the file that lists the cases of a set."""

MOST_CASES = 10_000
"""Largest accepted number of cases in a set."""

MOST_BYTES = 4 * 2**30
"""Largest accepted size of all files of a set together."""

LARGEST_SET_FILE = 16 * 2**20
"""Largest accepted size of set.json in bytes; a case takes approximately 600 bytes."""

_KEYS = {"format", "version", "unit", "name", "digest", "about", "licence", "files", "cases"}
_CASE_KEYS = {"name", "group", "truth", "seen", "T_table_object", "origin"}
_NAME = re.compile(r"[A-Za-z0-9._+-]{1,240}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Case:
    """One object of a set, as a sampler sees it and as physics knows it.

    Attributes:
        name: Name of the case, unique in the set.
        group: Name of the underlying object. Several cases may show the same object in different
            views or poses; confidence intervals are computed over groups.
        truth: Mesh for physics, in metres.
        seen: Input for a sampler, in the frame of `truth`: the truth itself, a damaged mesh, or the
            cloud that a depth camera measured from one side.
        viewpoint: Position of that camera in metres, in the frame of `truth`; None if `seen` does
            not come from one camera.
        T_table_object: Pose of the frame of `truth` in the frame of a table, which fills z < 0;
            translation in metres. None if there is no table.
        origin: Description of how the case was made, in values of JSON.
    """

    name: str
    group: str
    truth: Object
    seen: Object
    viewpoint: Float[np.ndarray, "3"] | None = None
    T_table_object: Float[np.ndarray, "4 4"] | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def scene(self) -> Scene | None:
        """The table as a scene whose world frame is the table's frame; None without a table."""
        if self.T_table_object is None:
            return None
        return Scene(T_world_table=frozen(np.eye(4)), T_world_object=self.T_table_object)


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A frozen set of cases.

    Attributes:
        name: Name of the set.
        digest: Hexadecimal SHA-256 of the whole set. Results are comparable only if they state the
            same digest.
        about: One sentence about the content of the set.
        licence: Licence of the meshes.
        cases: The cases, at least one.
    """

    name: str
    digest: str
    about: str
    licence: str
    cases: tuple[Case, ...]


def load_set(folder: str | os.PathLike[str]) -> Benchmark:
    """Read a set, and check that neither `set.json` nor any file that it lists was changed.

    Args:
        folder: Folder of the set.

    Raises:
        InputError: If a file is missing, damaged, too large, outside the folder or different from
            what `set.json` states; if a mesh has convex parts beside it that `set.json` does not
            list; or if `set.json` is not a list of cases in the format of this module.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder, expected a benchmark set")
    path = folder / SET_FILE
    document = _read_document(path)
    try:
        digest = _check_header(document)
        files = _check_files(folder, documents.mapping("files", document["files"]))
        cases = documents.sequence("cases", document["cases"])
        if not 1 <= len(cases) <= MOST_CASES:
            raise InputError(f"expected 1 to {MOST_CASES} cases, got {len(cases)} cases")
        loader = _Loader(folder, files)
        loaded = tuple(loader.case(number, entry) for number, entry in enumerate(cases))
    except InputError as error:
        raise InputError(f"cannot use the benchmark set {path}: {error}") from error
    return Benchmark(
        name=document["name"],
        digest=digest,
        about=document["about"],
        licence=document["licence"],
        cases=loaded,
    )


def sealed(document: dict[str, Any]) -> tuple[bytes, str]:
    """Return the bytes of a `set.json` and the digest of the set.

    The digest is the SHA-256 of the same text with an empty digest. The text has one spelling, so a
    change of a single byte, even of a space, is noticed.

    Args:
        document: Content of the file; an entry `digest` is replaced.

    Raises:
        InputError: If JSON cannot represent a value of the document.
    """
    digest = hashlib.sha256(_spelled({**document, "digest": ""})).hexdigest()
    return _spelled({**document, "digest": digest}), digest


def set_document(
    name: str, about: str, licence: str, files: dict[str, str], cases: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the content of a `set.json`, to be written by `sealed`.

    Args:
        name: Name of the set.
        about: One sentence about the content of the set.
        licence: Licence of the meshes.
        files: SHA-256 of the bytes of each file, by its path in the folder with forward slashes.
        cases: Entries of the cases, as described in `grasp.judging.benchmark`.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "unit": "metre",
        "name": name,
        "digest": "",
        "about": about,
        "licence": licence,
        "files": dict(sorted(files.items())),
        "cases": cases,
    }


def _spelled(document: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"JSON cannot represent the benchmark set: {error}") from error


def _read_document(path: Path) -> dict[str, Any]:
    """Read `set.json`, and check that its text has the digest that it states."""
    content = read_bytes(path)
    if len(content) > LARGEST_SET_FILE:
        raise InputError(
            f"{path} has {len(content)} bytes, expected at most {LARGEST_SET_FILE} bytes"
        )
    try:
        document = documents.mapping("the top level", documents.parse_json(content.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a benchmark set: the file is not UTF-8 text") from error
    except InputError as error:
        raise InputError(f"{path} is not a benchmark set: {error}") from error
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise InputError(
            f"{path} has format {documents.kind_of(document.get('format'))} version "
            f"{documents.kind_of(document.get('version'))}, expected {FORMAT} version {VERSION}"
        )
    stated = document.get("digest")
    try:
        text, digest = sealed(document)
    except InputError as error:  # NaN or infinity, which Python's parser accepts
        raise InputError(f"{path} is not a benchmark set: {error}") from error
    if digest != stated:
        raise InputError(
            f"{path} was changed since the set was made: its digest is {digest}, it states "
            f"{documents.kind_of(stated) if not isinstance(stated, str) else stated[:80]}"
        )
    if text != content:
        raise InputError(
            f"{path} was changed since the set was made: its values are the same, but not the "
            "spaces or the spelling of its text"
        )
    return document


def _check_header(document: dict[str, Any]) -> str:
    documents.check_keys(document, _KEYS, "the set")
    if document["unit"] != "metre":
        raise InputError(f"unit must be metre, got {documents.kind_of(document['unit'])}")
    _name("name", document["name"])
    for key in ("about", "licence"):
        documents.text(key, document[key])
    return documents.text("digest", document["digest"])


def _check_files(folder: Path, entries: dict[str, Any]) -> dict[str, Path]:
    """Check the digest of every listed file, and return the paths of the files."""
    if len(entries) > 3 * MOST_CASES:
        raise InputError(f"files has {len(entries)} entries, expected at most {3 * MOST_CASES}")
    files, total = {}, 0
    for name, stated in entries.items():
        path = _inside(folder, name)
        if not isinstance(stated, str) or not _SHA256.fullmatch(stated):
            raise InputError(
                f"the digest of {name} must be 64 hexadecimal digits, got "
                f"{documents.kind_of(stated)}"
            )
        content = read_bytes(path)
        total += len(content)
        if total > MOST_BYTES:
            raise InputError(f"the files have more than {MOST_BYTES} bytes together")
        digest = hashlib.sha256(content).hexdigest()
        if digest != stated:
            raise InputError(
                f"{path} was changed since the set was made: its digest is {digest}, {SET_FILE} "
                f"states {stated}"
            )
        files[name] = path
    return files


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a listed file, which must be inside the folder on every system."""
    parts = PurePosixPath(name).parts
    plain = bool(parts) and not re.search(r"[\\:\0]", name) and ".." not in parts
    path = folder / name if plain else folder
    # A symbolic link may lead out of the folder although its name does not.
    if not plain or name.startswith("/") or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"the file {documents.kind_of(name)} is outside the folder {folder}")
    return path


def _name(what: str, value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InputError(
            f"{what} must be a text of 1 to 240 letters, digits and the characters . _ + -, got "
            f"{documents.kind_of(value)}"
        )
    return value


class _Loader:
    """Loads the cases of a set; a file that several cases use is loaded once."""

    def __init__(self, folder: Path, files: dict[str, Path]) -> None:
        self._folder, self._files = folder, files
        self._loaded: dict[str, tuple[Object, np.ndarray | None]] = {}
        self._names: set[str] = set()

    def case(self, number: int, entry: object) -> Case:
        """Load one case; errors state the number of the case, counted from 0."""
        what = f"cases[{number}]"
        try:
            entries = documents.mapping("the case", entry)
            documents.check_keys(entries, _CASE_KEYS, "the case")
            name = _name("name", entries["name"])
            what = f"the case {name}"
            if name in self._names:
                raise InputError("two cases have this name, expected each name once")
            self._names.add(name)
            truth, _ = self._object("truth", entries["truth"])
            if not truth.is_mesh:
                raise InputError(f"{truth.file} is a point cloud, but physics needs a mesh")
            seen, viewpoint = self._object("seen", entries["seen"])
            return Case(
                name=name,
                group=_name("group", entries["group"]),
                truth=truth,
                seen=seen,
                viewpoint=viewpoint,
                T_table_object=documents.optional(entries, "T_table_object", _pose),
                origin=documents.mapping("origin", entries["origin"]),
            )
        except InputError as error:
            raise InputError(f"{what}: {error}") from error

    def _object(self, what: str, value: object) -> tuple[Object, np.ndarray | None]:
        """Return the object in a listed file and, for a view, the position of its camera."""
        name = documents.text(what, value)
        if name not in self._files:
            raise InputError(f"{what} must be a file that the set lists, got {name[:80]!r}")
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> tuple[Object, np.ndarray | None]:
        path = self._files[name]
        if path.suffix.lower() == ".npz":
            view = read_view(path)
            pose = view.T_camera_object
            check_poses("camera", pose[None])
            cloud = dataclasses.replace(view.in_object(path.stem), file=str(path))
            return cloud, frozen(-pose[:3, :3].T @ pose[:3, 3])
        parts = PurePosixPath(name).with_suffix(".parts.obj").as_posix()
        mesh = path.suffix.lower() == ".obj"
        # `load_object` reads convex parts beside a mesh, and physics would use them.
        if mesh and parts not in self._files and (self._folder / parts).exists():
            raise InputError(
                f"{self._folder / parts} was added since the set was made: {SET_FILE} does not "
                "list the file"
            )
        return load_object(path), None


def _pose(what: str, value: object) -> Float[np.ndarray, "4 4"]:
    pose = documents.matrix(what, value)
    check_poses(what, pose[None])
    if not (np.abs(pose[:3, 3]) <= MAXIMUM_COORDINATE).all():
        raise InputError(
            f"the translation of {what} must be at most {MAXIMUM_COORDINATE:g} m along each axis, "
            f"got {pose[:3, 3].tolist()}"
        )
    return frozen(pose)
