"""Decomposition of an object into convex parts, which a physics engine needs for contacts."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from grasp.objects.object import Object, Part
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

SETTINGS: dict[str, int | float] = {
    "threshold": 0.03,
    "max_convex_hull": 100,
    "mcts_iterations": 30,
    "mcts_max_depth": 2,
    "seed": 0,
}
"""Settings of coacd (Wei et al., "Approximate convex decomposition for 3D meshes with
collision-aware concavity and tree search", SIGGRAPH 2022). The threshold is the remaining concavity
relative to the object's size. It is small enough to keep the inside of a mug open. The search is
shallower than the default search of coacd, which takes many times longer for similar parts."""

PROGRAM = Path(__file__).with_name("run_coacd.py")
"""Path of the program that runs coacd."""

TIMEOUT = 1800
"""Time limit of coacd in seconds. A million faces take minutes; tangled meshes never finish."""

_MODES = ("auto", "on")
"""Values of coacd's `preprocess_mode`, in the order of the attempts. "auto" remeshes only meshes
that are not manifolds, but its test aborts on some manifold meshes. "on" always remeshes."""

_FAILED = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGFPE)
"""Exit codes of a failure that the mesh causes. Other exit codes have other causes, for example a
lack of memory or a user who killed coacd."""


def cache_folder() -> Path:
    """The cache folder for convex parts: `pcdiff-grasp/parts` in $XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "pcdiff-grasp" / "parts"


def convex_parts(obj: Object, cache: str | os.PathLike[str] | None = None) -> list[Part]:
    """Return the convex parts of a mesh: its exact parts if known, otherwise parts from coacd.

    coacd takes seconds to a minute, so its convex parts are cached in a file. The name of the file
    is a hash of the geometry and of the settings.

    Args:
        obj: Object, a mesh.
        cache: Folder of the cache files. None means `cache_folder()`.

    Returns:
        Convex parts as (vertices, faces), with vertices in metres in the object's frame.

    Raises:
        InputError: If the object is a point cloud; coacd finds no convex parts, takes too long or
            is killed; or a cache file is damaged.
    """
    if obj.parts is not None:
        return list(obj.parts)
    if obj.faces is None:
        raise InputError(f"{obj.file or obj.name} is a point cloud, but physics needs a mesh")
    settings = json.dumps(SETTINGS, sort_keys=True)
    key = hashlib.sha256(f"{obj.sha256} {settings}".encode()).hexdigest()
    path = (cache_folder() if cache is None else Path(cache)) / f"{key}.npz"
    if path.exists():
        return _read(path)
    parts = decompose(obj.file or obj.name, obj.vertices, obj.faces)
    if not parts:
        raise InputError(f"coacd found no convex parts in {obj.file or obj.name}")
    _write(path, parts)
    return parts


def decompose(
    name: str, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> list[Part]:
    """Run coacd on a mesh. `convex_parts` calls this function and caches the result.

    Args:
        name: Name of the object for error messages.
        vertices: Vertices of the mesh in metres.
        faces: Vertex indices of the triangles.

    Returns:
        Convex parts as (vertices, faces). The list is empty if coacd finds no parts or fails in
        every mode.

    Raises:
        InputError: If coacd takes too long or is killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        mesh, parts = Path(folder) / "mesh.npz", Path(folder) / "parts.npz"
        np.savez(mesh, vertices=vertices, faces=faces)
        for mode in _MODES:
            files = [str(path) for path in (PROGRAM, mesh, parts)]
            command = [sys.executable, *files, mode, json.dumps(SETTINGS)]
            try:
                done = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                raise InputError(
                    f"coacd did not decompose {name} within {TIMEOUT} s: simplify the mesh"
                ) from None
            if done.returncode == 0:
                break
            if done.returncode not in _FAILED:
                raise InputError(f"coacd was killed while decomposing {name}: {_cause(done)}")
        else:
            return []
        with np.load(parts) as found:
            return [
                (
                    np.asarray(found[f"vertices{index}"], dtype=np.float64),
                    np.asarray(found[f"faces{index}"], dtype=np.int64),
                )
                for index in range(len(found.files) // 2)
            ]


def _write(path: Path, parts: Sequence[Part]) -> None:
    with atomic_write(path) as temporary:
        np.savez_compressed(
            temporary,
            vertices=np.concatenate([vertices for vertices, _ in parts]),
            faces=np.concatenate([faces for _, faces in parts]),
            counts=np.array([[len(vertices), len(faces)] for vertices, faces in parts]),
        )


def _cause(done: subprocess.CompletedProcess[bytes]) -> str:
    """Describe in a few words why a process ended."""
    if done.returncode < 0:
        return f"signal {-done.returncode}, perhaps for lack of memory"
    lines = done.stderr.decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line), f"exit code {done.returncode}")


def _read(path: Path) -> list[Part]:
    damaged = f"the cached convex parts in {path} are damaged: remove that file"
    try:
        # The file is opened here, because numpy leaves its own handle of a damaged file open.
        with path.open("rb") as handle, np.load(handle) as file:
            vertices, faces, counts = file["vertices"], file["faces"], file["counts"]
        ends = np.cumsum(counts, axis=0)[:-1]
        parts = zip(np.split(vertices, ends[:, 0]), np.split(faces, ends[:, 1]), strict=True)
        found = list(parts)
    except (
        OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise InputError(damaged) from error
    if not np.isfinite(vertices).all() or any(len(part) < 4 for part, _ in found):
        raise InputError(damaged)
    return found
