"""Read objects from mesh files: a folder of meshes, or the usable meshes of `pybullet_data`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from datasets.household.draws import Draw
from datasets.household.objects import HouseholdObject
from datasets.household.shapes import Polyhedron, convex_hull, union, volume
from grasp.labelling.meshes import mesh_files, mesh_name
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.geometry.obj import read_obj_objects

HEAVIEST = 1.5
"""Largest mass in kilograms. The mass of a mesh is unknown, so the program draws a random density;
an object that would be heavier than this mass is assumed to be hollow."""

SMALLEST = 1e-9
"""Smallest usable volume in cubic metres. A mesh with a smaller volume is almost flat."""

PYBULLET_SCALE = 0.015
"""Metres per unit of the meshes in `random_urdfs`, as stated in its URDF files."""

PYBULLET_GROWTH = 2e-5
"""Growth of each piece on every side, in metres. The growth closes gaps of up to 8 µm between
pieces that should touch."""

PYBULLET_SMALLEST = 2e-6
"""Smallest usable volume in cubic metres. A few of the random meshes are too small to grasp."""

PYBULLET_LICENCE = "zlib"
"""Licence of the meshes in `pybullet_data`."""


def objects_in(
    folder: Path, scale: float, seed: int, skip: Callable[[str], None]
) -> Iterator[HouseholdObject]:
    """Yield the meshes of a folder as objects with randomly drawn masses and frictions.

    Args:
        folder: Folder of mesh files, which may be in subfolders.
        scale: Metres per unit of the files.
        seed: Seed of the random densities and frictions.
        skip: Function that is called with one sentence for each file that cannot be used.

    Raises:
        InputError: If the folder does not exist or has no mesh.
    """
    taken: dict[str, Path] = {}
    for index, path in enumerate(mesh_files(folder)):
        relative = path.relative_to(folder)
        name = mesh_name(relative)
        try:
            # Some file systems do not distinguish upper and lower case.
            if (other := taken.setdefault(name.casefold(), path)) != path:
                raise InputError(
                    f"the meshes {path} and {other} would both have the name {name}: rename one "
                    "of the two files"
                )
            loaded = load_object(path, scale)
            if loaded.faces is None:
                raise InputError(f"{path} is a point cloud, expected a mesh")
            parts = tuple(Polyhedron(*part) for part in loaded.parts or ())
            surface = Polyhedron(loaded.vertices, loaded.faces)
            made = _object(name, "mesh", seed, index, surface, parts, loaded, loaded.scale)
        except InputError as error:
            skip(str(error))
            continue
        yield made


def pybullet_meshes() -> list[Path]:
    """Return a sorted list of the 1000 random mesh files in `pybullet_data`.

    The function finds the package without importing it. The other meshes in the package are robots,
    furniture and ground planes, not objects to grasp.

    Raises:
        InputError: If the package is not installed or has no random meshes.
    """
    found = importlib.util.find_spec("pybullet_data")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "pybullet_data is not installed: install the package pybullet, which contains "
            "pybullet_data, with pip install pybullet"
        )
    folder = Path(next(iter(found.submodule_search_locations))) / "random_urdfs"
    files = sorted(folder.glob("[0-9][0-9][0-9]/[0-9][0-9][0-9].obj"))
    if not files:
        raise InputError(
            f"pybullet_data has no random meshes: expected files NNN/NNN.obj in {folder}"
        )
    return files


def pybullet_objects(
    scale: float, seed: int, skip: Callable[[str], None]
) -> Iterator[HouseholdObject]:
    """Yield an object for each usable mesh of `pybullet_data`: the union of its convex pieces.

    A mesh is usable if its surface is connected and its volume is at least `PYBULLET_SMALLEST`.

    Args:
        scale: Metres per unit of the files; `PYBULLET_SCALE` is the published value.
        seed: Seed of the random densities and frictions.
        skip: Function that is called with one sentence for each file that cannot be used.

    Raises:
        InputError: If `pybullet_data` is not installed or has no random meshes.
    """
    for index, path in enumerate(pybullet_meshes()):
        try:
            parts = grown(pieces_of(path, scale), PYBULLET_GROWTH)
            surface = union(parts)
            loaded = Object.from_mesh(*surface, name=path.stem)
            bodies = loaded.mesh().body_count
            if bodies > 1:
                raise InputError(
                    f"{path} must be one connected piece, got {bodies} pieces that do not touch"
                )
            if volume(surface) < PYBULLET_SMALLEST:
                raise InputError(
                    f"the volume of {path} must be at least {1e6 * PYBULLET_SMALLEST:g} cm³, got "
                    f"{1e6 * volume(surface):.2g} cm³"
                )
        except InputError as error:
            skip(str(error))
            continue
        yield _object(
            f"pybullet_{path.stem}", "pybullet", seed, index, surface, parts, loaded, scale
        )


def pieces_of(path: Path, scale: float) -> tuple[Polyhedron, ...]:
    """Return the convex hull in metres of each `o` group in an OBJ file, without flat groups.

    Args:
        path: OBJ file.
        scale: Metres per unit of the file.

    Raises:
        InputError: If the file cannot be read or has no group with a volume.
    """
    groups = [vertices * scale for vertices, _ in read_obj_objects(path)]
    if not all(np.isfinite(vertices).all() for vertices in groups):
        raise InputError(f"{path} has a vertex coordinate that is not finite")
    hulls = [convex_hull(vertices) for vertices in groups]
    pieces = tuple(hull for hull in hulls if hull is not None)
    if not pieces:
        raise InputError(f"all pieces of {path} are flat, expected a piece with a volume")
    return pieces


def grown(pieces: Sequence[Polyhedron], by: float) -> tuple[Polyhedron, ...]:
    """Stretch each piece along the coordinate axes, so that its bounding box grows on every side.

    Args:
        pieces: Convex pieces in metres.
        by: Length in metres by which the bounding box grows on each side.
    """
    larger = []
    for vertices, faces in pieces:
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        middle, size = (low + high) / 2, high - low
        larger.append(Polyhedron(middle + (vertices - middle) * (1 + 2 * by / size), faces))
    return tuple(larger)


def _object(
    name: str,
    family: str,
    seed: int,
    index: int,
    surface: Polyhedron,
    parts: tuple[Polyhedron, ...],
    loaded: Object,
    scale: float,
) -> HouseholdObject:
    draw = Draw(np.random.default_rng([seed, *name.encode()]))
    draw.material("appliance", "hollow plastic", "wood")
    solid = _solid(loaded)
    # An object that would be too heavy is assumed to be hollow, which lowers its density.
    density = min(draw.density, HEAVIEST / solid)
    return HouseholdObject(
        name=name,
        family=family,
        seed=seed,
        index=index,
        vertices=surface.vertices,
        faces=surface.faces,
        parts=parts,
        mass=density * solid,
        friction=draw.friction,
        parameters={**draw.values, "density": density, "scale": scale},
    )


def _solid(loaded: Object) -> float:
    """The volume in m³ that a mesh encloses, or the volume of the convex hull of an open mesh.

    Raises:
        InputError: If the mesh is flat or almost flat.
    """
    from scipy.spatial import QhullError

    mesh = loaded.mesh()
    try:
        with np.errstate(invalid="ignore", divide="ignore"):  # a flat hull has no centre of mass
            solid = float(mesh.volume if mesh.is_volume else mesh.convex_hull.volume)
    except QhullError:
        solid = 0.0
    if not solid >= SMALLEST:
        raise InputError(
            f"the volume of {loaded.file or loaded.name} must be at least {1e9 * SMALLEST:g} mm³, "
            f"got {1e9 * solid:.2g} mm³"
        )
    return solid
