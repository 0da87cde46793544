"""Convex parts of an object, which is what a physics engine can touch."""

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
"""Of coacd (Wei et al., "Approximate convex decomposition for 3D meshes with collision-aware
concavity and tree search", SIGGRAPH 2022). The threshold is the concavity that remains, as a share
of the object's size: fine enough to keep the inside of a mug open. The search is shallower than
coacd's default, which takes many times as long for parts that are hardly better."""

_MODES = ("auto", "on")
"""Of coacd's `preprocess_mode`, in the order they are tried: "auto" makes a mesh anew only if it is
not a manifold, but the test for that fails on some that are; "on" does not ask."""

_FAILED = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGFPE)
"""How coacd ends where it fails. Whatever else ends it, memory or a user, would not do so again, so
that nothing follows from it for the mesh."""

_TIMEOUT = 1800
"""Seconds. Meshes of a million faces take minutes, tangled ones for ever."""

_PROGRAM = Path(__file__).with_name("run_coacd.py")


def cache_folder() -> Path:
    """Where parts are kept: `pcdiff-grasp/parts` in $XDG_CACHE_HOME, by default ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "pcdiff-grasp" / "parts"


def convex_parts(obj: Object, cache: str | os.PathLike[str] | None = None) -> list[Part]:
    """The convex parts of a mesh: its own exact ones if it has them, else coacd's.

    coacd takes seconds to a minute, so its parts are kept in a file named by the hash of the
    geometry and of the settings.

    Args:
        obj: A mesh.
        cache: The folder of such files; `cache_folder()` unless given.

    Returns:
        (vertices, faces) of each part, in metres in the frame of the object.

    Raises:
        InputError: The object is a point cloud; coacd finds no part; a file of the cache is
            damaged.
    """
    if obj.parts is not None:
        return list(obj.parts)
    if obj.faces is None:
        raise InputError(f"{obj.file or obj.name} is a point cloud: physics needs a mesh")
    settings = json.dumps(SETTINGS, sort_keys=True)
    key = hashlib.sha256(f"{obj.sha256} {settings}".encode()).hexdigest()
    path = (cache_folder() if cache is None else Path(cache)) / f"{key}.npz"
    if path.exists():
        return _read(path)
    parts = _decompose(obj.file or obj.name, obj.vertices, obj.faces)
    if not parts:
        raise InputError(f"coacd finds no convex parts in {obj.file or obj.name}")
    _write(path, parts)
    return parts


def _decompose(
    name: str, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> list[Part]:
    """The parts that coacd finds; none if it finds none or fails in each mode.

    Raises:
        InputError: it takes too long, or something else than itself ended it.
    """
    with tempfile.TemporaryDirectory() as folder:
        mesh, parts = Path(folder) / "mesh.npz", Path(folder) / "parts.npz"
        np.savez(mesh, vertices=vertices, faces=faces)
        for mode in _MODES:
            files = [str(path) for path in (_PROGRAM, mesh, parts)]
            command = [sys.executable, *files, mode, json.dumps(SETTINGS)]
            try:
                done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT)
            except subprocess.TimeoutExpired:
                raise InputError(
                    f"coacd finds no convex parts of {name} within {_TIMEOUT} s: simplify the mesh"
                ) from None
            if done.returncode == 0:
                break
            if done.returncode not in _FAILED:
                raise InputError(f"coacd was ended while it took {name} apart: {_end(done)}")
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


def _end(done: subprocess.CompletedProcess[bytes]) -> str:
    """Why a process ended, in a few words."""
    if done.returncode < 0:
        return f"signal {-done.returncode}, perhaps for want of memory"
    lines = done.stderr.decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line), f"exit code {done.returncode}")


def _read(path: Path) -> list[Part]:
    damaged = f"the cached parts in {path} are damaged: remove that file"
    try:
        # A handle of our own: numpy leaves its one open if the file is damaged.
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
