"""Make the cases of each frozen set."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.frozen.folder import SetFolder
from datasets.frozen.large import check_convex, narrowest, shape
from datasets.frozen.resting import resting_poses
from datasets.frozen.rough import Damage, damaged
from datasets.frozen.splits import Splits, read_scan
from datasets.household.objects import FAMILIES, HouseholdObject, make, scaled
from datasets.household.plans import LICENCE
from datasets.household.shapes import Polyhedron
from grasp import documents
from grasp.objects.object import Object
from grasp.objects.triangles import is_closed
from grasp.objects.views import (
    KINECT,
    KINECT_INTRINSICS,
    View,
    poses_on_sphere,
    render_view,
)
from pcdiff.errors import InputError

WIDER_THAN = 0.083
"""Smallest width in metres of a too-large object in every direction; the Franka Hand opens to 0.08
m."""

_BORDER = 12  # pixels around the object in a depth image, more than its lateral noise


@dataclass(frozen=True, eq=False)
class Materials:
    """The objects from which the sets are made.

    Attributes:
        splits: Content of `experiments/splits.json`.
        scans: The scanned mesh files by name; None if there are none on this machine.
    """

    splits: Splits
    scans: dict[str, Path] | None

    def made(self, seed: int, family: str, index: int = 0) -> HouseholdObject:
        """Make a household object.

        Args:
            seed: Seed of the set.
            family: Key of `datasets.household.FAMILIES`.
            index: Position in the set.

        Raises:
            InputError: If training data or an earlier evaluation used the seed, or the family does
                not exist.
        """
        if seed in self.splits.used_seeds:
            raise InputError(
                f"the seed {seed} was used before, by {self.splits.used_seeds[seed]}: expected a "
                "new seed"
            )
        return make(family, seed, index)

    def scan(self, name: str) -> bytes:
        """Return the bytes of a scanned mesh.

        Args:
            name: Name of the mesh.

        Raises:
            InputError: If there are no scanned meshes, or the mesh is not the frozen one.
        """
        if self.scans is None:
            raise InputError("the set contains scanned meshes: supply the folder of the meshes")
        return read_scan(self.splits, self.scans, name)

    def report_scan(self, name: str) -> bytes:
        """Return the bytes of a scanned mesh of the half for reports.

        Args:
            name: Name of the mesh.

        Raises:
            InputError: If the mesh belongs to the other half, or in the cases of `scan`.
        """
        if name not in self.splits.half("report"):
            raise InputError(f"the mesh {name} is not in the half of scanned meshes for reports")
        return self.scan(name)


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to make one set.

    Attributes:
        about: One sentence about the set.
        scanned: True if the set contains scanned meshes.
        make: Function that writes the cases. It takes the objects, the settings from
            `experiments/splits.json`, the folder, and a function to call after each case.
    """

    about: str
    scanned: bool
    make: Callable[[Materials, dict[str, Any], SetFolder, Callable[[], None]], None]

    def licence(self, splits: Splits) -> str:
        """Return the licence of the meshes in the set.

        Args:
            splits: Content of `experiments/splits.json`.
        """
        return f"{LICENCE}; scanned meshes {splits.licence}" if self.scanned else LICENCE


def _write_made(
    materials: Materials, seed: int, family: str, folder: SetFolder, index: int = 0
) -> tuple[str, str, dict[str, Any]]:
    """Write a household object; return the name of its file, its own name and its origin."""
    thing = materials.made(seed, family, index)
    file = folder.mesh(f"meshes/{thing.name}", *_surface(thing))
    loaded = folder.load(file)
    if loaded.faces is None or not is_closed(loaded.faces):
        raise InputError(f"{thing.name} is not watertight after rounding its coordinates")
    return file, thing.name, {"family": family, "seed": seed, "index": index}


def _surface(thing: HouseholdObject) -> tuple[Polyhedron, tuple[Polyhedron, ...]]:
    return Polyhedron(thing.vertices, thing.faces), thing.parts


def _write_scan(name: str, content: bytes, folder: SetFolder) -> tuple[str, dict[str, Any]]:
    return folder.add(f"meshes/{name}.stl", content), {"scanned": name}


def _scanned(half: str) -> Callable[..., None]:
    def write(
        materials: Materials,
        settings: dict[str, Any],
        folder: SetFolder,
        advance: Callable[[], None],
    ) -> None:
        documents.check_keys(settings, set(), f"the set of the half {half}")
        for name in materials.splits.half(half):
            file, origin = _write_scan(name, materials.scan(name), folder)
            folder.case(name, name, file, origin=origin)
            advance()

    return write


def _made(
    materials: Materials, settings: dict[str, Any], folder: SetFolder, advance: Callable[[], None]
) -> None:
    documents.check_keys(settings, {"seed", "families"}, "the set made")
    for family in _families(settings["families"]):
        file, name, origin = _write_made(materials, _count(settings, "seed"), family, folder)
        folder.case(name, name, file, origin=origin)
        advance()


def _resting(
    materials: Materials, settings: dict[str, Any], folder: SetFolder, advance: Callable[[], None]
) -> None:
    documents.check_keys(settings, {"seed", "families", "scanned", "poses"}, "the set resting")
    written = [
        _write_made(materials, _count(settings, "seed"), family, folder)
        for family in _families(settings["families"])
    ]
    for mesh in documents.sequence("scanned", settings["scanned"]):
        file, origin = _write_scan(mesh, materials.report_scan(mesh), folder)
        written.append((file, mesh, origin))
    for file, name, origin in written:
        rests = resting_poses(folder.load(file), _count(settings, "poses"))
        for number, rest in enumerate(rests, 1):
            folder.case(
                f"{name}-pose-{number}",
                name,
                file,
                T_table_object=rest.T_table_object,
                origin={**origin, "pose": number, "share": rest.share},
            )
        advance()


def _views(
    materials: Materials, settings: dict[str, Any], folder: SetFolder, advance: Callable[[], None]
) -> None:
    documents.check_keys(settings, {"seed", "families", "views", "distances"}, "the set views")
    seed = _count(settings, "seed")
    nearest, farthest = documents.vector("distances", settings["distances"], 2).tolist()
    for family in _families(settings["families"]):
        file, name, origin = _write_made(materials, seed, family, folder)
        truth = folder.load(file)
        for number in range(_count(settings, "views")):
            rng = np.random.default_rng([seed, number, *family.encode()])
            distance = float(rng.uniform(nearest, farthest))
            case = f"{name}-view-{number}"
            folder.case(
                case,
                name,
                file,
                seen=folder.view(f"views/{case}", noisy_view(truth, distance, rng)),
                origin={**origin, "view": number, "distance": round(distance, 4)},
            )
        advance()


def noisy_view(truth: Object, distance: float, rng: np.random.Generator) -> View:
    """Render the depth image of a camera in a random direction, cut to the object.

    The noise is `grasp.objects.views.KINECT`. Rays are cast in double precision, because which
    triangle a ray meets in single precision differs between machines.

    Args:
        truth: Mesh in metres.
        distance: Distance in metres from the camera to the object's centre.
        rng: Source of randomness for the direction and the noise.
    """
    (pose,) = poses_on_sphere(1, truth.centre, distance, rng)
    seen = truth.vertices @ pose[:3, :3].T + pose[:3, 3]
    pixels = (seen @ KINECT_INTRINSICS.T)[:, :2] / seen[:, 2:]
    low = np.floor(pixels.min(axis=0)).astype(int) - _BORDER
    width, height = (np.ceil(pixels.max(axis=0)).astype(int) + _BORDER - low + 1).tolist()
    intrinsics = KINECT_INTRINSICS.copy()
    intrinsics[:2, 2] -= low
    return render_view(
        truth,
        pose,
        intrinsics=intrinsics,
        height=height,
        width=width,
        noise=KINECT,
        rng=rng,
        exact=True,
    )


def _too_large(
    materials: Materials, settings: dict[str, Any], folder: SetFolder, advance: Callable[[], None]
) -> None:
    documents.check_keys(settings, {"seed", "shapes", "made"}, "the set too-large")
    found: list[tuple[str, Polyhedron, tuple[Polyhedron, ...], dict[str, Any]]] = []
    for name, entry in documents.mapping("shapes", settings["shapes"]).items():
        kind, *sizes = documents.sequence(name, entry)
        solid = shape(
            documents.text("kind", kind), [documents.number("a size", size) for size in sizes]
        )
        found.append((name, solid, (solid,), {"shape": kind, "sizes": sizes}))
    for entry in documents.sequence("made", settings["made"]):
        family, index, factor = documents.sequence("an object", entry)
        thing = scaled(materials.made(_count(settings, "seed"), family, index), factor)
        origin = {"family": family, "seed": thing.seed, "index": index, "scale": factor}
        found.append((thing.name, *_surface(thing), origin))
    for name, surface, parts, origin in found:
        check_convex(name, surface)
        if (width := narrowest(surface.vertices)) < WIDER_THAN:
            raise InputError(
                f"{name} may be as narrow as {width:.4f} m, expected at least {WIDER_THAN} m in "
                "every direction"
            )
        file = folder.mesh(f"meshes/{name}", surface, parts)
        folder.case(name, name, file, origin={**origin, "narrowest": math.floor(1e3 * width) / 1e3})
        advance()


def _rough(
    materials: Materials, settings: dict[str, Any], folder: SetFolder, advance: Callable[[], None]
) -> None:
    documents.check_keys(settings, {"seed", "made", "scanned"}, "the set rough")
    seed = _count(settings, "seed")
    written = []
    for family, damages in documents.mapping("made", settings["made"]).items():
        file, name, origin = _write_made(materials, seed, family, folder)
        written.append((file, name, origin, damages))
    for mesh, damages in documents.mapping("scanned", settings["scanned"]).items():
        file, origin = _write_scan(mesh, materials.report_scan(mesh), folder)
        written.append((file, mesh, origin, damages))
    for file, name, origin, damages in written:
        truth = folder.load(file)
        for number, entry in enumerate(documents.sequence(name, damages)):
            distance, closing, floaters = documents.vector(name, entry)
            damage = Damage(float(distance), float(closing), round(floaters))
            rng = np.random.default_rng([seed, number, *name.encode()])
            seen = damaged(truth, damage, rng)
            case = f"{name}-rough-{number}"
            folder.case(
                case,
                name,
                file,
                seen=folder.mesh(f"rough/{case}", seen),
                origin={
                    **origin,
                    "distance": damage.distance,
                    "closing": damage.closing,
                    "floaters": damage.floaters,
                },
            )
        advance()


def _families(value: object) -> list[str]:
    """Return a list of families, each of which exists and occurs once."""
    names = [documents.text("a family", name) for name in documents.sequence("families", value)]
    if unknown := [name for name in names if name not in FAMILIES]:
        raise InputError(f"the family {unknown[0]!r} does not exist")
    if len(set(names)) < len(names):
        raise InputError("a family occurs twice in the list of families")
    return names


def _count(settings: dict[str, Any], key: str) -> int:
    value = settings[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{key} must be an integer of 1 or more, got {documents.kind_of(value)}")
    return value


RECIPES: dict[str, Recipe] = {
    "scanned-tune": Recipe(
        "Scanned meshes on which settings may be tuned; nothing is reported on them.",
        True,
        _scanned("tune"),
    ),
    "scanned-report": Recipe(
        "Scanned meshes on which results are reported; nothing is tuned on them.",
        True,
        _scanned("report"),
    ),
    "made": Recipe(
        "Synthetic household objects of seeds that no training data used.", False, _made
    ),
    "resting": Recipe(
        "Synthetic and scanned objects that rest on a table in their likeliest poses.",
        True,
        _resting,
    ),
    "views": Recipe(
        "Objects that a depth camera sees from one side, with noise; physics uses the whole mesh.",
        False,
        _views,
    ),
    "too-large": Recipe(
        "Convex objects that are wider than the Franka Hand opens; no grasp should be offered.",
        False,
        _too_large,
    ),
    "rough": Recipe(
        "Objects whose scan has bumps, filled cavities or loose balls; physics uses the true mesh.",
        True,
        _rough,
    ),
}
"""How to make each set, by the name of the set."""
