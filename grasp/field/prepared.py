"""What training needs of an object beside its labels: made once, and kept in a folder."""

from __future__ import annotations

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
    """What is made of each object.

    Attributes:
        seed: of what is drawn.
        full: surfaces of the whole object.
        views: surfaces seen from one side with a depth camera's noise.
        distances: places whose signed distance is told, which the paper's network learns.
    """

    seed: int = 0
    full: int = 2
    views: int = 2
    distances: int = 0


@dataclass(frozen=True)
class Source:
    """An object.

    Attributes:
        file: of its mesh.
        scale: metres in a unit of the file.
        sha256: of its geometry.
    """

    file: Path
    scale: float
    sha256: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """What was made of an object.

    Attributes:
        surfaces: to choose from.
        distances: places in the frame of the object's file with their signed distances, metres.
    """

    surfaces: tuple[Surface, ...]
    distances: Float[Tensor, "places 4"]


def prepare(
    objects: Sequence[Source],
    folder: Path,
    recipe: Recipe,
    pool: ProcessPoolExecutor | None = None,
) -> Iterator[Prepared]:
    """What was kept of each object, or is made now, in the order of the objects.

    Args:
        objects: the objects.
        folder: where it is kept.
        recipe: what to make.
        pool: processes that make it.

    Raises:
        InputError: an object cannot be read, or is not the one that is meant.
    """
    kept = [_is_kept(each, folder, recipe) for each in objects]
    jobs = [
        (each, folder, recipe) for each, is_kept in zip(objects, kept, strict=True) if not is_kept
    ]
    made = iter(map(_make, jobs) if pool is None else pool.map(_make_on_one_core, jobs))
    for source, is_kept in zip(objects, kept, strict=True):
        if not is_kept:
            next(made)
        _, tensors = checkpoint.load(_file(source, folder), _KIND)
        distances = tensors.pop(_DISTANCES)
        yield Prepared(_unpacked(tensors), distances)


def _file(source: Source, folder: Path) -> Path:
    return folder / f"{source.sha256[:16]}.safetensors"


def _wanted(source: Source, recipe: Recipe) -> dict[str, Any]:
    return {"object": source.sha256, "recipe": asdict(recipe), "layout": LAYOUT}


def _is_kept(source: Source, folder: Path, recipe: Recipe) -> bool:
    path = _file(source, folder)
    if not path.is_file():
        return False
    found, _ = checkpoint.load(path, _KIND)
    return all(found.get(name) == value for name, value in _wanted(source, recipe).items())


def _make_on_one_core(job: tuple[Source, Path, Recipe]) -> None:
    torch.set_num_threads(1)
    _make(job)


def _make(job: tuple[Source, Path, Recipe]) -> None:
    """Make the file of an object."""
    source, folder, recipe = job
    obj = load_object(source.file, source.scale)
    if obj.sha256 != source.sha256:
        raise InputError(f"{source.file} is of another geometry than its labels")
    rng = np.random.default_rng([recipe.seed, int(source.sha256, 16)])
    surfaces = [surface_of(obj, rng) for _ in range(recipe.full)]
    surfaces += [surface_of(seen, rng) for seen in random_views(obj, recipe.views, rng)]
    tensors = {
        f"{place}.{each.name}": getattr(surface, each.name)
        for place, surface in enumerate(surfaces)
        for each in fields(Surface)
    }
    tensors[_DISTANCES] = torch.zeros(0, 4)
    if recipe.distances:
        places, distances = signed_distances(obj, recipe.distances, rng)
        tensors[_DISTANCES] = torch.from_numpy(np.column_stack([places, distances])).float()
    checkpoint.save(_file(source, folder), _KIND, _wanted(source, recipe), tensors)


def _unpacked(tensors: dict[str, Tensor]) -> tuple[Surface, ...]:
    count = len(tensors) // len(fields(Surface))
    return tuple(
        Surface(**{each.name: tensors[f"{place}.{each.name}"] for each in fields(Surface)})
        for place in range(count)
    )
