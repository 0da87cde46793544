"""Surfaces and signed distances of training objects, computed once and stored in files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp.field.networks.surface import LAYOUT, Surface
from grasp.field.surfaces import surface_of
from grasp.objects.loading import load_object
from grasp.objects.signed_distances import signed_distances
from grasp.objects.views import random_views
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint

_KIND = "prepared-object"
_DISTANCES = "distances"


@dataclass(frozen=True)
class Recipe:
    """The numbers of surfaces and signed distances to compute for each object.

    Attributes:
        seed: Seed of all random draws.
        full: Number of surfaces of the whole object.
        views: Number of surfaces from simulated depth images. Such a surface is noisy and covers
            only the visible side of the object.
        scans: Number of surfaces of the rough scan of an object that has one.
        distances: Number of places whose signed distances the "paper" network learns.
    """

    seed: int = 0
    full: int = 2
    views: int = 2
    scans: int = 1
    distances: int = 0


@dataclass(frozen=True)
class MeshFile:
    """The mesh file of an object.

    Attributes:
        file: Path of the file.
        scale: Length of the file's unit in metres.
        sha256: Digest of the object's geometry.
        scan: Path of a rough scan of the object in metres, in the same frame; None for no scan.
    """

    file: Path
    scale: float
    sha256: str
    scan: Path | None = None


@dataclass(frozen=True, eq=False)
class ObjectSurfaces:
    """Surfaces and signed distances of one object.

    Attributes:
        surfaces: Surfaces of the whole object, followed by surfaces from simulated depth images and
            by surfaces of the rough scan.
        distances: Places (x, y, z) in the frame of the object's file and, in the fourth column,
            their signed distances to the object, in metres.
    """

    surfaces: tuple[Surface, ...]
    distances: Float[Tensor, "places 4"]


def prepare(
    objects: Sequence[MeshFile],
    folder: Path,
    recipe: Recipe,
    pool: ProcessPoolExecutor | None = None,
) -> Iterator[ObjectSurfaces]:
    """Yield the surfaces of each object in the order of `objects`.

    The surfaces are read from a folder. Missing surfaces are computed and stored in the folder.

    Args:
        objects: Mesh files of the objects.
        folder: Folder in which the surfaces are stored.
        recipe: Numbers of surfaces and signed distances.
        pool: Processes that compute the surfaces; None selects the calling process.

    Raises:
        InputError: If a mesh file cannot be read, or its geometry does not match its digest.
    """
    kept = [_is_kept(each, folder, recipe) for each in objects]
    jobs = [
        (each, folder, recipe) for each, is_kept in zip(objects, kept, strict=True) if not is_kept
    ]
    made = iter(map(_make, jobs) if pool is None else pool.map(_make_on_one_core, jobs))
    for mesh, is_kept in zip(objects, kept, strict=True):
        if not is_kept:
            next(made)
        _, tensors = checkpoint.load(_kept_in(folder, mesh), _KIND)
        distances = tensors.pop(_DISTANCES)
        yield ObjectSurfaces(_unpacked(tensors), distances)


def _kept_in(folder: Path, mesh: MeshFile) -> Path:
    """Return the path of the file in which an object's surfaces are stored."""
    return folder / f"{mesh.sha256[:16]}.safetensors"


def _wanted(mesh: MeshFile, recipe: Recipe) -> dict[str, Any]:
    """Return the metadata that the stored file of an object must have to be reused."""
    scan = None if mesh.scan is None else hashlib.sha256(mesh.scan.read_bytes()).hexdigest()
    return {"object": mesh.sha256, "scan": scan, "recipe": asdict(recipe), "layout": LAYOUT}


def _is_kept(mesh: MeshFile, folder: Path, recipe: Recipe) -> bool:
    path = _kept_in(folder, mesh)
    if not path.is_file():
        return False
    found, _ = checkpoint.load(path, _KIND)
    return all(found.get(name) == value for name, value in _wanted(mesh, recipe).items())


def _make_on_one_core(job: tuple[MeshFile, Path, Recipe]) -> None:
    torch.set_num_threads(1)
    _make(job)


def _make(job: tuple[MeshFile, Path, Recipe]) -> None:
    """Compute the surfaces and signed distances of one object, and write them to a file."""
    mesh, folder, recipe = job
    obj = load_object(mesh.file, mesh.scale)
    if obj.sha256 != mesh.sha256:
        raise InputError(
            f"{mesh.file} has changed since its grasps were labelled: the digest of its geometry "
            f"must be {mesh.sha256[:12]}, got {obj.sha256[:12]}"
        )
    rng = np.random.default_rng([recipe.seed, int(mesh.sha256, 16)])
    surfaces = [surface_of(obj, rng) for _ in range(recipe.full)]
    surfaces += [surface_of(seen, rng) for seen in random_views(obj, recipe.views, rng)]
    if mesh.scan is not None:
        scan = load_object(mesh.scan)
        surfaces += [surface_of(scan, rng) for _ in range(recipe.scans)]
    tensors = {
        f"{place}.{each.name}": getattr(surface, each.name)
        for place, surface in enumerate(surfaces)
        for each in fields(Surface)
    }
    tensors[_DISTANCES] = torch.zeros(0, 4)
    if recipe.distances:
        places, distances = signed_distances(obj, recipe.distances, rng)
        tensors[_DISTANCES] = torch.from_numpy(np.column_stack([places, distances])).float()
    checkpoint.save(_kept_in(folder, mesh), _KIND, _wanted(mesh, recipe), tensors)


def _unpacked(tensors: dict[str, Tensor]) -> tuple[Surface, ...]:
    count = len(tensors) // len(fields(Surface))
    return tuple(
        Surface(**{each.name: tensors[f"{place}.{each.name}"] for each in fields(Surface)})
        for place in range(count)
    )
