"""Objects from elsewhere: a folder of mesh files, and the usable meshes of `pybullet_data`."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from datasets.household.draws import Draw
from datasets.household.objects import HouseholdObject
from datasets.household.shapes import Convex, convex_hull, union, volume
from grasp.geometry_files import read_obj_objects
from grasp.objects import Object, load_object
from pcdiff.errors import InputError

ENDINGS = (".obj", ".stl", ".ply", ".off", ".glb", ".dae")

HEAVIEST = 1.5
"""Kilograms. Nobody knows the mass of a mesh, so it is drawn; but no large one is all solid."""

PYBULLET_SCALE = 0.015
"""Metres in a unit of `random_urdfs`, as its URDF files say."""

PYBULLET_GROWTH = 2e-5
"""Metres. Pieces of one mesh that should touch are up to 8 µm apart there, so each is grown."""

PYBULLET_SMALLEST = 2e-6
"""Cubic metres. A few of the random meshes are crumbs."""

PYBULLET_LICENCE = "zlib"


def mesh_files(folder: Path) -> list[Path]:
    """The mesh files of a folder and of the folders in it, sorted; sidecars of parts are not.

    Raises:
        InputError: there is no such folder, or no mesh in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in ENDINGS
        and path.is_file()
        and not path.name.lower().endswith(".parts.obj")
    )
    if not files:
        raise InputError(f"{folder} has no mesh: no file that ends in {', '.join(ENDINGS)}")
    return files


def objects_in(
    folder: Path, scale: float, seed: int, skip: Callable[[str], None]
) -> Iterator[HouseholdObject]:
    """The meshes of a folder as objects; mass and friction are drawn.

    Args:
        folder: with mesh files, also in folders in it.
        scale: metres in a unit of the files.
        seed: of the draws.
        skip: called with a sentence for each file that cannot be used.

    Raises:
        InputError: there is no such folder, or no mesh in it.
    """
    for index, path in enumerate(mesh_files(folder)):
        relative = path.relative_to(folder)
        try:
            loaded = load_object(path, scale)
            if loaded.faces is None:
                raise InputError(f"{path} is a point cloud, expected a mesh")
        except InputError as error:
            skip(str(error))
            continue
        name = re.sub(r"[^A-Za-z0-9.+-]+", "_", "_".join([*relative.parts[:-1], relative.stem]))
        ending = relative.suffix[1:].lower()
        parts = tuple(Convex(*part) for part in loaded.parts or ())
        surface = Convex(loaded.vertices, loaded.faces)
        # Two files may differ in their ending alone.
        yield _object(f"{name}_{ending}", "mesh", seed, index, surface, parts, loaded, loaded.scale)


def pybullet_meshes() -> list[Path]:
    """The files of `pybullet_data` that are graspable things: its 1000 random ones.

    The package is found and not imported, nor is pybullet. The other meshes in it are robots,
    furniture and ground.

    Raises:
        InputError: it is not installed, or lacks them.
    """
    found = importlib.util.find_spec("pybullet_data")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "pybullet_data is not installed here: it comes with the package pybullet "
            "(pip install pybullet)"
        )
    folder = Path(next(iter(found.submodule_search_locations))) / "random_urdfs"
    files = sorted(folder.glob("[0-9][0-9][0-9]/[0-9][0-9][0-9].obj"))
    if not files:
        raise InputError(f"pybullet_data lacks its random meshes: {folder} has no NNN/NNN.obj")
    return files


def pybullet_objects(
    scale: float, seed: int, skip: Callable[[str], None]
) -> Iterator[HouseholdObject]:
    """The usable meshes of `pybullet_data`, each the union of the convex pieces in its file.

    Usable is a mesh that is of one body, and not a crumb.

    Args:
        scale: metres in a unit of the files, `PYBULLET_SCALE` as published.
        seed: of the draws of mass and friction.
        skip: called with a sentence for each file that cannot be used.

    Raises:
        InputError: `pybullet_data` is not installed.
    """
    for index, path in enumerate(pybullet_meshes()):
        try:
            parts = grown(pieces_of(path, scale), PYBULLET_GROWTH)
            surface = union(parts)
            loaded = Object.from_mesh(*surface, name=path.stem)
            bodies = loaded.mesh().body_count
            if bodies > 1:
                raise InputError(f"{path} is in {bodies} pieces that do not touch")
            if volume(surface) < PYBULLET_SMALLEST:
                raise InputError(f"{path} is a crumb: it is {1e6 * volume(surface):.2g} cm³")
        except InputError as error:
            skip(str(error))
            continue
        yield _object(
            f"pybullet_{path.stem}", "pybullet", seed, index, surface, parts, loaded, scale
        )


def pieces_of(path: Path, scale: float) -> tuple[Convex, ...]:
    """The convex hulls of the `o` groups of an OBJ file, in metres; flat groups are left out.

    Raises:
        InputError: the file cannot be read or has no group with a volume.
    """
    groups = [vertices * scale for vertices, _ in read_obj_objects(path)]
    if not all(np.isfinite(vertices).all() for vertices in groups):
        raise InputError(f"{path} has a vertex that is not finite")
    hulls = [convex_hull(vertices) for vertices in groups]
    pieces = tuple(hull for hull in hulls if hull is not None)
    if not pieces:
        raise InputError(f"{path} holds no piece with a volume")
    return pieces


def grown(pieces: Sequence[Convex], by: float) -> tuple[Convex, ...]:
    """Each piece stretched along the axes, so that its box grows by so much on every side."""
    larger = []
    for vertices, faces in pieces:
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        middle, size = (low + high) / 2, high - low
        larger.append(Convex(middle + (vertices - middle) * (1 + 2 * by / size), faces))
    return tuple(larger)


def _object(
    name: str,
    family: str,
    seed: int,
    index: int,
    surface: Convex,
    parts: tuple[Convex, ...],
    loaded: Object,
    scale: float,
) -> HouseholdObject:
    draw = Draw(np.random.default_rng([seed, *name.encode()]))
    draw.material("appliance", "hollow plastic", "wood")
    mesh = loaded.mesh()
    solid = mesh.volume if mesh.is_volume else mesh.convex_hull.volume
    mass = min(draw.density * float(solid), HEAVIEST)
    return HouseholdObject(
        name,
        family,
        seed,
        index,
        surface.vertices,
        surface.faces,
        parts,
        mass,
        draw.friction,
        {**draw.values, "scale": scale},
    )
