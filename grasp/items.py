"""What the field is trained on: labelled grasps, and their objects as the networks see them.

A folder of labels is what `datasets.labels` writes: `grasps/GRIPPER/NAME.h5`, one file an object,
which names its mesh relative to the folder; and, if there are any, labelled samples of earlier
fields, `samples/WEIGHTS/GRIPPER/NAME.h5`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp.formats import Grasps, read_grasps
from grasp.gripper import Gripper, load_gripper
from grasp.networks.probes import Probes, probes
from grasp.networks.surface import Surface
from grasp.objects import Object, load_object
from grasp.surfaces import surface_of
from pcdiff import checkpoint
from pcdiff.errors import InputError

FULL, VIEWS = 2, 2
"""Surfaces of each object that training chooses from: drawn on the whole mesh, and seen from one
side with a depth camera's noise."""

FEWEST = 5
"""Grasps that hold, below which an object teaches nothing about where they are."""

CANDIDATES, SAMPLES = "grasps", "samples"
"""Folders of labelled candidates, and of labelled samples of a field."""

_KIND = "surfaces"


@dataclass(frozen=True, eq=False)
class Tried:
    """Grasps of both outcomes.

    Attributes:
        poses: `T_object_grasp`, metres.
        success: whether each holds.
    """

    poses: Float[Tensor, "grasps 4 4"]
    success: Bool[Tensor, " grasps"]


@dataclass(frozen=True, eq=False)
class Item:
    """Labelled grasps of one object with one gripper.

    Attributes:
        name: of the object.
        sha256: of its geometry.
        surfaces: to choose from.
        probes: of the gripper.
        candidates: grasps that were tried whatever a field thinks of them.
        samples: grasps that a field gave; None if there are none.
    """

    name: str
    sha256: str
    surfaces: tuple[Surface, ...]
    probes: Probes
    candidates: Tried
    samples: Tried | None = None

    @property
    def held(self) -> Float[Tensor, "held 4 4"]:
        """The candidates that hold."""
        return self.candidates.poses[self.candidates.success]


def split(items: Sequence[Item], one_in: int) -> tuple[list[Item], list[Item]]:
    """Items to train on and items to validate on, by object: one object in so many.

    An object's place depends on its geometry alone, so it is the same for every gripper and run.
    """
    parts: tuple[list[Item], list[Item]] = ([], [])
    for item in items:
        parts[int(item.sha256, 16) % one_in == 0].append(item)
    return parts


def grippers_in(folder: Path, given: Sequence[str]) -> list[Gripper]:
    """The grippers that a folder has labels of.

    Args:
        folder: of labels.
        given: names, or files that describe them; all that have labels if there are none.

    Raises:
        InputError: there are no labels, or a gripper is not known.
    """
    found = sorted(path.name for path in (folder / CANDIDATES).glob("*") if path.is_dir())
    hands = [load_gripper(name) for name in (given or found)]
    for hand in hands:
        if hand.name not in found:
            raise InputError(
                f"{folder} has no labelled grasps for {hand.name}: no {CANDIDATES}/{hand.name}"
            )
    if not hands:
        raise InputError(f"{folder} has no labelled grasps: no folder {CANDIDATES}")
    return hands


def read_items(
    folder: Path,
    grippers: Sequence[Gripper],
    kept: Path,
    seed: int,
    *,
    full: int = FULL,
    views: int = VIEWS,
    pool: ProcessPoolExecutor | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Item]:
    """The labelled grasps of a folder, with surfaces of their objects.

    Args:
        folder: of labels.
        grippers: whose labels to read.
        kept: a folder in which surfaces are kept, as it takes a second to make an object's.
        seed: of what is drawn on the objects.
        full: surfaces of the whole object.
        views: surfaces seen from one side.
        pool: processes that make surfaces.
        advance: called after each file of labels.

    Raises:
        InputError: a file cannot be read or is not of labels.
    """
    labels = [(hand, path, _labels(path)) for hand in grippers for path in _files(folder, hand)]
    objects = {each.object_sha256: each for _, _, each in labels if _teaches(each)}
    surfaces = dict(_surfaces(folder, list(objects.values()), kept, seed, full, views, pool))
    items = []
    for hand, path, grasps in labels:
        if _teaches(grasps):
            sha256 = str(grasps.object_sha256)
            own = sorted(folder.glob(f"{SAMPLES}/*/{hand.name}/{path.name}"))
            items.append(
                Item(
                    path.stem,
                    sha256,
                    surfaces[sha256],
                    probes(hand),
                    _tried([grasps]),
                    _tried([_labels(each) for each in own]) if own else None,
                )
            )
        advance()
    return items


def _files(folder: Path, hand: Gripper) -> list[Path]:
    return sorted((folder / CANDIDATES / hand.name).glob("*.h5"))


def _labels(path: Path) -> Grasps:
    grasps = read_grasps(path)
    if grasps.success is None or grasps.object_file is None or grasps.object_sha256 is None:
        raise InputError(f"{path} has no labels or does not name its object")
    return grasps


def _teaches(grasps: Grasps) -> bool:
    return grasps.success is not None and int(grasps.success.sum()) >= FEWEST


def _tried(several: Sequence[Grasps]) -> Tried:
    poses = np.concatenate([each.poses for each in several])
    success = np.concatenate([each.success for each in several if each.success is not None])
    return Tried(torch.from_numpy(poses).float(), torch.from_numpy(success))


def _surfaces(
    folder: Path,
    labels: Sequence[Grasps],
    kept: Path,
    seed: int,
    full: int,
    views: int,
    pool: ProcessPoolExecutor | None,
) -> Iterator[tuple[str, tuple[Surface, ...]]]:
    """Each object's surfaces by its SHA-256: those that are kept, and those that are not yet."""
    jobs = [
        (folder / str(each.object_file), each.object_scale, str(each.object_sha256), kept, seed)
        for each in labels
    ]
    counts = [(full, views)] * len(jobs)
    arguments = [(*job, *count) for job, count in zip(jobs, counts, strict=True)]
    made = map(_prepare, arguments) if pool is None else pool.map(_prepare, arguments)
    for path in made:
        configuration, tensors = checkpoint.load(path, _KIND)
        yield str(configuration["object"]), _unpacked(tensors)


def _prepare(job: tuple[Path, float, str, Path, int, int, int]) -> Path:
    """The file with an object's surfaces; made if it is not there."""
    source, scale, sha256, kept, seed, full, views = job
    path = kept / f"{sha256[:16]}.safetensors"
    wanted = {"object": sha256, "seed": seed, "full": full, "views": views}
    if path.is_file():
        found, _ = checkpoint.load(path, _KIND)
        if all(found.get(name) == value for name, value in wanted.items()):
            return path
    torch.set_num_threads(1)  # each process has a core
    obj = load_object(source, scale)
    if obj.sha256 != sha256:
        raise InputError(f"{source} is of another geometry than its labels")
    rng = np.random.default_rng([seed, int(sha256, 16)])
    surfaces = [surface_of(obj, rng) for _ in range(full)]
    surfaces += [surface_of(seen, rng) for seen in _seen(obj, views, rng)]
    tensors = {
        f"{place}.{each.name}": getattr(surface, each.name)
        for place, surface in enumerate(surfaces)
        for each in fields(Surface)
    }
    checkpoint.save(path, _KIND, wanted, tensors)
    return path


def _unpacked(tensors: dict[str, Tensor]) -> tuple[Surface, ...]:
    count = len(tensors) // len(fields(Surface))
    return tuple(
        Surface(**{each.name: tensors[f"{place}.{each.name}"] for each in fields(Surface)})
        for place in range(count)
    )


def _seen(obj: Object, count: int, rng: np.random.Generator) -> list[Object]:
    """Noisy single views from random directions, at 50 cm to 1 m."""
    from grasp.views import KINECT, poses_on_sphere, render_view

    views = []
    for _ in range(count):
        (camera,) = poses_on_sphere(1, obj.centre, rng.uniform(0.5, 1.0), rng)
        views.append(render_view(obj, camera, noise=KINECT, rng=rng).in_object())
    return views
