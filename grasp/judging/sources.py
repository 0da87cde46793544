"""Where an evaluation gets its grasps and its labelled candidates: a sampler, or files."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grasp.formats import FORMATS, Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.antipodal import sample_antipodal
from grasp.judging.evaluation import Source
from grasp.judging.labels import Simulator, label_candidates
from grasp.objects.object import Object
from grasp.physics import label_digests
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.field.model import GraspField
    from grasp.field.sampling import Sampling

ANTIPODAL = "antipodal"
"""The name of the baseline."""

ENDINGS = tuple(dict.fromkeys(ending for several in FORMATS.values() for ending in several))
"""Of grasp files."""


def check_grasp_file(path: Path) -> None:
    """Raise unless grasps can be written to a file of this name.

    For a caller with much to do before it writes.

    Raises:
        InputError: the extension is none of `ENDINGS`.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"cannot write {path}: expected the extension {', '.join(ENDINGS)}")


def named_source(
    name: str,
    objects: Sequence[Object],
    gripper: Gripper,
    *,
    frame: str | None = None,
    unit: str | None = None,
) -> Source:
    """The source of grasps that a user names.

    Args:
        name: `ANTIPODAL`, a grasp file, or a folder with one of the name of each object. The first
            grasps of a file count, if it holds more than are asked for.
        objects: that are going to be asked for.
        gripper: the gripper.
        frame: of the poses in files that do not say; see `grasp.formats.read_grasps`.
        unit: of the lengths there; likewise.

    Raises:
        InputError: there is no such source; a file would be of several objects; or frame or unit
            is given though there is no file. The source itself raises where a file cannot be read
            or is of another geometry.
    """
    if name == ANTIPODAL:
        if frame is not None or unit is not None:
            raise InputError(
                f"the frame and the unit of grasps are those of a file, but the source is {name}: "
                "leave --frame and --grasp-unit out"
            )
        return lambda obj, count, rng: sample_antipodal(obj, gripper, count, rng)
    path = Path(name)
    if path.is_file():
        if len(objects) != 1:
            raise InputError(f"{path} holds the grasps of one object, got {len(objects)} objects")
        return lambda obj, count, rng: _first(path, obj, count, frame, unit)
    if not path.is_dir():
        raise InputError(
            f"the source must be {ANTIPODAL}, a grasp file or a folder of them, got {name!r}"
        )
    return lambda obj, count, rng: _first(_file_for(obj, path), obj, count, frame, unit)


def field_source(
    field: GraspField, gripper: Gripper, how: Sampling | None = None, view: bool = False
) -> Source:
    """The grasps of a trained field.

    Args:
        field: the field.
        gripper: the gripper.
        how: to sample; see `ConditionedField.sample`.
        view: whether the field sees one side of each mesh, from a random direction at 50 cm to 1 m
            with a depth camera's noise, in place of the whole.
    """
    from grasp.objects.views import random_views
    from pcdiff.randomness import seeded

    def source(obj: Object, count: int, rng: np.random.Generator) -> Grasps:
        seed = int(rng.integers(2**31))
        if view:
            (obj,) = random_views(obj, 1, rng)
        return field.condition(obj, gripper, seed).sample(count, seeded(seed), how)

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
    """Labelled candidates from a folder; those that are not there are made and put there.

    Args:
        folder: one file for each gripper's name and geometry; made if it is missing.
        gripper: the gripper.
        simulator: the physics.
        count: candidates of each object.
        seed: they depend on it and on the object's geometry.
        physics: what the simulator was given, as JSON can hold it.

    Returns:
        What `grasp.judging.evaluation.evaluate` takes as `labels`. It raises where a file is of
        other
        conditions: these, the gripper's shape or the object's convex parts.
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
                        f"{path} is of other conditions: its {name} is {found.get(name)}, expected "
                        f"{expected}; give another folder"
                    )
            if kept.success is None:
                raise InputError(f"{path} has no labels; give another folder")
            return kept
        made = label_candidates(obj, gripper, simulator, count=count, seed=seed)
        made = dataclasses.replace(made, sampler=made_by)
        write_grasps(path, made)
        return made

    return labels


def _first(path: Path, obj: Object, count: int, frame: str | None, unit: str | None) -> Grasps:
    grasps = read_grasps(path, frame=frame, unit=unit)
    if grasps.object_sha256 is None:
        _check_scale(path, grasps, obj)
    elif grasps.object_sha256 != obj.sha256:
        raise InputError(f"{path} is of another geometry than {obj.file}")
    return grasps.select(slice(count))


def _check_scale(path: Path, grasps: Grasps, obj: Object) -> None:
    """Raise if the file states another size; a scale of 1 is also that of files that state none."""
    stated = grasps.object_scale
    if stated != 1 and not math.isclose(stated, obj.scale, rel_tol=1e-6):
        raise InputError(
            f"{path} is of an object at scale {stated:g}, but {obj.file} is at {obj.scale:g}: give "
            f"--scale {stated:g} --unit m"
        )


def _file_for(obj: Object, folder: Path) -> Path:
    found = [path for ending in ENDINGS if (path := folder / f"{obj.name}{ending}").is_file()]
    if len(found) != 1:
        raise InputError(
            f"{folder} must hold one grasp file named {obj.name}, with the extension "
            f"{', '.join(ENDINGS)}, got {len(found)}"
        )
    return found[0]
