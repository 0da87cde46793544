"""Sources of grasps and of labelled candidates for an evaluation: samplers and files."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grasp.formats import EXTENSIONS, Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.antipodal import sample_antipodal
from grasp.judging.evaluation import Source
from grasp.judging.labels import Simulator, label_candidates
from grasp.objects.object import Object
from grasp.physics import label_digests
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.field.sampling import Sampling
    from grasp.field.selection import Selection
    from grasp.field.trained import GraspField

ANTIPODAL = "antipodal"
"""Name of the antipodal baseline as a source."""


def named_source(
    name: str,
    objects: Sequence[Object],
    gripper: Gripper,
    *,
    frame: str | None = None,
    unit: str | None = None,
) -> Source:
    """Return a source of grasps by its name.

    Args:
        name: `ANTIPODAL`, a grasp file, or a folder with one grasp file per object, named after the
            object. If a file contains more grasps than requested, the first grasps are used.
        objects: Objects for which grasps will be requested.
        gripper: The gripper.
        frame: Frame of the poses in grasp files that do not state the frame; see
            `grasp.formats.read_grasps`.
        unit: Unit of the lengths in grasp files that do not state the unit.

    Raises:
        InputError: If no source has this name, a single file is named for several objects, a grasp
            file is missing or cannot be read, or a frame or a unit is passed although the source is
            not a file. The returned source raises `InputError` if a grasp file belongs to another
            geometry.
    """
    if name == ANTIPODAL:
        if frame is not None or unit is not None:
            raise InputError(
                f"a frame or a unit of grasps applies to grasp files only, but the source is {name}"
            )
        return lambda obj, count, rng: sample_antipodal(obj, gripper, count, rng)
    path = Path(name)
    if path.is_file():
        if len(objects) != 1:
            raise InputError(
                f"{path} has the grasps of one object, but {len(objects)} objects are to be judged"
            )
        only = read_grasps(path, frame=frame, unit=unit, gripper=gripper)
        return lambda obj, count, rng: _first_grasps(path, only, obj, count)
    if not path.is_dir():
        raise InputError(
            f"the source must be {ANTIPODAL}, a grasp file or a folder of grasp files, got {name!r}"
        )
    # Every file is read now: physics takes minutes before it needs the first one.
    files = {obj.name: _file_for(obj, path) for obj in objects}
    grasps = {
        name: read_grasps(file, frame=frame, unit=unit, gripper=gripper)
        for name, file in files.items()
    }
    return lambda obj, count, rng: _first_grasps(files[obj.name], grasps[obj.name], obj, count)


def field_source(
    field: GraspField,
    gripper: Gripper,
    sampling: Sampling | None = None,
    selection: Selection | None = None,
    view: bool = False,
) -> Source:
    """Return a source that samples a trained grasp field.

    Args:
        field: Grasp field to sample.
        gripper: The gripper.
        sampling: Settings of the sampler; see `ConditionedField.sample`.
        selection: Settings for choosing grasps; see `ConditionedField.sample`.
        view: True to show the field only the visible side of each mesh, with a depth camera's
            noise. The camera is in a random direction, at a distance of 50 cm to 1 m. False to show
            the field the whole mesh.
    """
    from grasp.objects.views import random_views
    from pcdiff.randomness import seeded

    def source(obj: Object, count: int, rng: np.random.Generator) -> Grasps:
        seed = int(rng.integers(2**31))
        if view:
            (obj,) = random_views(obj, 1, rng)
        return field.condition(obj, gripper, seed).sample(count, seeded(seed), sampling, selection)

    return source


def kept_labels(
    folder: str | os.PathLike[str],
    gripper: Gripper,
    simulator: Simulator,
    *,
    count: int,
    seed: int,
    physics: Mapping[str, Any],
) -> Callable[[Object], Grasps]:
    """Return a function that labels candidates and stores the labels in a folder.

    Existing labels are reused, and missing labels are created.

    Args:
        folder: Folder with one file per gripper and geometry. A missing folder is created.
        gripper: The gripper.
        simulator: Physics that tries new candidates.
        count: Number of candidates of each object.
        seed: Seed of the candidates, which also depend on the object's geometry.
        physics: Settings of the simulator, in values that JSON can represent.

    Returns:
        A function to pass to `grasp.judging.evaluation.evaluate` as `labels`. The function raises
        `InputError` if a stored file has no labels or was made under different conditions: another
        count, seed or physics, another gripper description, or other convex parts of the object.
    """

    def labels(obj: Object) -> Grasps:
        made_by = {
            "name": "antipodal candidates",
            "count": count,
            "seed": seed,
            "physics": dict(physics),
            **label_digests(obj, gripper),
        }
        path = Path(folder) / f"{obj.name}-{gripper.name}-{obj.sha256[:12]}.h5"
        if path.is_file():
            kept = read_grasps(path)
            found = kept.sampler or {}
            for name, expected in made_by.items():
                if found.get(name) != expected:
                    raise InputError(
                        f"{path} was made under different conditions: its {name} is "
                        f"{found.get(name)}, expected {expected}; use another folder"
                    )
            if kept.success is None:
                raise InputError(f"{path} has no labels; use another folder")
            return kept
        made = label_candidates(obj, gripper, simulator, count=count, seed=seed)
        made = dataclasses.replace(made, sampler=made_by)
        write_grasps(path, made)
        return made

    return labels


def _first_grasps(path: Path, grasps: Grasps, obj: Object, count: int) -> Grasps:
    """Return the first grasps of a file, and check that the grasps belong to the object."""
    if grasps.object_sha256 is None:
        _check_scale(path, grasps, obj)
    elif grasps.object_sha256 != obj.sha256:
        raise InputError(f"the grasps in {path} belong to another geometry than {obj.file}")
    return grasps.select(slice(count))


def _check_scale(path: Path, grasps: Grasps, obj: Object) -> None:
    """Raise `InputError` if the scale in the file differs from the object's scale.

    A scale of 1 is accepted, because a file without a scale is also read as scale 1.
    """
    stated = grasps.object_scale
    if stated != 1 and not math.isclose(stated, obj.scale, rel_tol=1e-6):
        raise InputError(
            f"the grasps in {path} belong to an object at scale {stated:g}, but {obj.file} is at "
            f"scale {obj.scale:g}"
        )


def _file_for(obj: Object, folder: Path) -> Path:
    """Search a folder for the grasp file with the same name as the object."""
    found = [path for each in EXTENSIONS if (path := folder / f"{obj.name}{each}").is_file()]
    if len(found) != 1:
        raise InputError(
            f"{folder} must contain one grasp file named {obj.name} that ends in one of "
            f"{', '.join(EXTENSIONS)}, got {len(found)} such files"
        )
    return found[0]
