"""Convex parts of an object, which a physics engine needs for contacts, and their error."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np

from grasp.objects.object import Object, Part
from grasp.physics.cover import CoverSettings, convex_cover
from grasp.physics.fidelity import ShapeError, shape_error, shape_warning
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

SETTINGS: dict[str, int | float] = asdict(CoverSettings())
"""Settings of the convex parts of an object whose exact parts are unknown."""


@dataclass(frozen=True, eq=False)
class ConvexShape:
    """The convex parts of an object, and how closely they follow its mesh.

    Attributes:
        parts: Convex parts as (vertices, faces), in metres, in the object's frame.
        error: Deviation of the parts from the mesh; None for exact parts.
        warning: A sentence about parts that do not follow the mesh; None if they do.
    """

    parts: tuple[Part, ...]
    error: ShapeError | None
    warning: str | None


def cache_folder() -> Path:
    """The cache folder for convex parts: `pcdiff-grasp/parts` in $XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "pcdiff-grasp" / "parts"


def convex_parts(obj: Object, cache: str | os.PathLike[str] | None = None) -> list[Part]:
    """Return the convex parts of a mesh: its exact parts if known, otherwise a convex cover.

    `convex_shape` describes the arguments and the errors.
    """
    return list(convex_shape(obj, cache).parts)


def convex_shape(obj: Object, cache: str | os.PathLike[str] | None = None) -> ConvexShape:
    """Return the convex parts of a mesh with their error: its exact parts if known, else a cover.

    A cover takes several seconds (`grasp.physics.cover`), so the parts and their error are cached
    in a file. The name of the file is a hash of the geometry and of the settings.

    Args:
        obj: Object, a mesh.
        cache: Folder of the cache files. None means `cache_folder()`. If the folder cannot be
            written, the function warns and computes the parts anew in every call.

    Raises:
        InputError: If the object is a point cloud, or a cache file is damaged.
    """
    if obj.parts is not None:
        return ConvexShape(obj.parts, None, None)
    name = obj.file or obj.name
    if obj.faces is None:
        raise InputError(f"{name} is a point cloud, but physics needs a mesh")
    settings = json.dumps(SETTINGS, sort_keys=True)
    key = hashlib.sha256(f"{obj.sha256} {settings}".encode()).hexdigest()
    path, kept = None, False
    try:
        path = (cache_folder() if cache is None else Path(cache)) / f"{key}.npz"
        kept = path.exists()
    except (OSError, RuntimeError) as problem:  # no home folder, or one that cannot be entered
        warnings.warn(f"the convex parts are not cached: {problem}", stacklevel=2)
    if path is not None and kept:
        parts, error = _read(path)
    else:
        parts = convex_cover(obj, CoverSettings())
        error = shape_error(obj, parts)
        if path is not None:
            _cache(path, parts, error)
    return ConvexShape(tuple(parts), error, shape_warning(name, error))


def _cache(path: Path, parts: Sequence[Part], error: ShapeError) -> None:
    """Write a cache file, or warn if that is impossible: a full disk must not cost the result."""
    try:
        _write(path, parts, error)
    except InputError as problem:
        warnings.warn(f"the convex parts are not cached: {problem}", stacklevel=3)


def _write(path: Path, parts: Sequence[Part], error: ShapeError) -> None:
    with atomic_write(path) as temporary:
        np.savez_compressed(
            temporary,
            vertices=np.concatenate([vertices for vertices, _ in parts]),
            faces=np.concatenate([faces for _, faces in parts]),
            counts=np.array([[len(vertices), len(faces)] for vertices, faces in parts]),
            error=np.array(astuple(error)),
        )


def _read(path: Path) -> tuple[list[Part], ShapeError]:
    damaged = f"the cached convex parts in {path} are damaged: remove that file"
    try:
        # The file is opened here, because numpy leaves its own handle of a damaged file open.
        with path.open("rb") as handle, np.load(handle) as file:
            vertices, faces, counts = file["vertices"], file["faces"], file["counts"]
            error = ShapeError(*file["error"].tolist())
        ends = np.cumsum(counts, axis=0)[:-1]
        parts = zip(np.split(vertices, ends[:, 0]), np.split(faces, ends[:, 1]), strict=True)
        found = list(parts)
    except (
        OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise InputError(damaged) from error
    if not np.isfinite(vertices).all() or any(len(part) < 4 for part, _ in found):
        raise InputError(damaged)
    return found, error
