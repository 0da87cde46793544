"""Plan a set of objects: the source of the objects, and the changes to each object."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from datasets.household.catalogue import MESHES, Entry, write_set
from datasets.household.meshes import (
    PYBULLET_LICENCE,
    PYBULLET_SCALE,
    mesh_files,
    objects_in,
    pybullet_meshes,
    pybullet_objects,
)
from datasets.household.objects import (
    FAMILIES,
    HouseholdObject,
    check_family,
    make_set,
    scaled,
    with_material,
)
from datasets.household.roughness import roughened
from pcdiff.errors import InputError

LICENCE = "MIT"
"""Licence of synthetic meshes, which is the licence of the program."""

UNKNOWN_LICENCE = "unknown"
"""Licence of a mesh if the user states no licence."""


@dataclass(frozen=True)
class SetOptions:
    """The options that apply to a set of objects from any source.

    Attributes:
        seed: Seed of all random choices, at least 0.
        count: Largest number of objects; None uses the default of the source.
        scale: Metres per unit of the mesh files; for synthetic objects, the factor that multiplies
            all lengths. None uses the default of the source.
        density: Density of every object in kg/m³; the density of its material if None.
        friction: Coefficient of friction of every object; the friction of its material if None.
        roughness: Largest root mean square unevenness of the convex parts in metres; None leaves
            the parts unchanged.

    Raises:
        InputError: If the scale is not positive and finite.
    """

    seed: int = 0
    count: int | None = None
    scale: float | None = None
    density: float | None = None
    friction: float | None = None
    roughness: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise InputError(
                f"the scale of objects must be a finite number above 0, got {self.scale}"
            )


@dataclass(frozen=True, eq=False)
class SetPlan:
    """A set of objects that is ready to be written.

    Attributes:
        objects: Iterator over the objects; the program makes or reads an object on request.
        total: Largest number of objects that the set can have.
        source: Origin of the set and the options of the program, as a JSON object.
        licence: Licence of the meshes.
        skipped: One sentence for each file that could not be used. The iterator `objects` extends
            the list.
    """

    objects: Iterator[HouseholdObject]
    total: int
    source: dict[str, Any]
    licence: str
    skipped: list[str]

    def write(self, folder: Path, advance: Callable[[], None] = lambda: None) -> list[Entry]:
        """Write the set into a folder.

        Args:
            folder: Folder to write; it is created if it is missing.
            advance: Function that is called after each object.

        Returns:
            The entries of the catalogue.

        Raises:
            InputError: If a physical quantity is out of its range, or
                `datasets.household.catalogue.write_set` raises an error.
        """
        return write_set(folder, self.objects, self.source, self.licence, advance)


def plan_families(options: SetOptions, families: Sequence[str] | None = None) -> SetPlan:
    """Plan a set of synthetic objects.

    Args:
        options: Options of the set; its default count is 60.
        families: Keys of `FAMILIES`; None uses all families.

    Raises:
        InputError: If a family does not exist.
    """
    chosen = list(FAMILIES if families is None else families)
    for name in chosen:
        check_family(name)
    total = 60 if options.count is None else options.count
    source: dict[str, Any] = {
        "maker": "datasets.household",
        "families": chosen,
        "seed": options.seed,
    }
    objects = make_set(total, options.seed, chosen)
    if (scale := options.scale) is not None:
        source["scale"] = scale
        objects = (scaled(each, scale) for each in objects)
    return _plan(options, objects, total, source, LICENCE, [])


def plan_folder(options: SetOptions, meshes: Path, licence: str = UNKNOWN_LICENCE) -> SetPlan:
    """Plan a set of the meshes in a folder.

    Args:
        options: Options of the set; its default scale is 1 and its default count is all meshes.
        meshes: Folder of mesh files, which may be in subfolders.
        licence: Licence of the meshes.

    Raises:
        InputError: If the folder does not exist or has no mesh.
    """
    scale = 1.0 if options.scale is None else options.scale
    source = {
        "maker": "folder",
        "name": meshes.resolve().name,
        "scale": scale,
        "seed": options.seed,
    }
    skipped: list[str] = []
    total = len(mesh_files(meshes))
    objects = objects_in(meshes, scale, options.seed, skipped.append)
    return _plan(options, objects, total, source, licence, skipped)


def plan_pybullet(options: SetOptions) -> SetPlan:
    """Plan a set of the usable meshes in `pybullet_data`.

    Args:
        options: Options of the set; its default scale is `PYBULLET_SCALE` and its default count is
            all meshes.

    Raises:
        InputError: If `pybullet_data` is not installed or lacks its meshes.
    """
    scale = PYBULLET_SCALE if options.scale is None else options.scale
    source = {"maker": "pybullet_data", "scale": scale, "seed": options.seed}
    skipped: list[str] = []
    total = len(pybullet_meshes())
    objects = pybullet_objects(scale, options.seed, skipped.append)
    return _plan(options, objects, total, source, PYBULLET_LICENCE, skipped)


def check_apart(meshes: Path, output: Path) -> None:
    """Raise an error if the input folder contains the output folder, or the reverse.

    Args:
        meshes: Folder of meshes to read.
        output: Folder of the set to write.

    Raises:
        InputError: If one folder contains the other.
    """
    read, written = meshes.resolve(), (output / MESHES).resolve()
    if written.is_relative_to(read) or read.is_relative_to(written):
        raise InputError(
            f"the output meshes in {output} would be written among the input meshes in {meshes}, "
            "expected another output folder"
        )


def _plan(
    options: SetOptions,
    objects: Iterator[HouseholdObject],
    total: int,
    source: dict[str, Any],
    licence: str,
    skipped: list[str],
) -> SetPlan:
    """Return a plan with the options that apply to objects from any source."""
    physics = {
        "density": options.density,
        "friction": options.friction,
        "roughness": options.roughness,
    }
    source = source | {name: value for name, value in physics.items() if value is not None}
    objects = (with_material(each, options.density, options.friction) for each in objects)
    if (roughness := options.roughness) is not None:
        objects = (roughened(each, roughness) for each in objects)
    total = total if options.count is None else min(options.count, total)
    return SetPlan(islice(objects, options.count), total, source, licence, skipped)
