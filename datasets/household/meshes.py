"""Objects from elsewhere: a folder of mesh files, and the usable meshes of `pybullet_data`."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from datasets.household.draws import Draw
from datasets.household.objects import HouseholdObject
from datasets.household.shapes import Polyhedron, convex_hull, union, volume
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.geometry.obj import read_obj_objects

ENDINGS = (".obj", ".stl", ".ply", ".off", ".glb", ".dae")

HEAVIEST = 1.5
"""Kilograms. Nobody knows the mass of a mesh, so it is drawn; but no large one is all solid."""

SMALLEST = 1e-9
"""Cubic metres. What encloses less is a sheet or a hair, and has no mass to speak of."""

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
    taken: dict[str, Path] = {}
    for index, path in enumerate(mesh_files(folder)):
        relative = path.relative_to(folder)
        name = re.sub(r"[^A-Za-z0-9.+-]+", "_", "_".join([*relative.parts[:-1], relative.stem]))
        # Two files may differ in their ending alone.
        name = f"{name}_{relative.suffix[1:].lower()}"
        try:
            # Some file systems tell no upper case from lower.
            if (other := taken.setdefault(name.casefold(), path)) != path:
                raise InputError(f"{path} would have the same name as {other}, {name}: rename it")
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


def pieces_of(path: Path, scale: float) -> tuple[Polyhedron, ...]:
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


def grown(pieces: Sequence[Polyhedron], by: float) -> tuple[Polyhedron, ...]:
    """Each piece stretched along the axes, so that its box grows by so much on every side."""
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
    # What is too heavy is hollow, so that its mass in its volume is a smaller density.
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
    """The volume that a mesh encloses, or that of its convex hull where it is not closed, m³.

    Raises:
        InputError: It is flat, or as good as flat.
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
            f"{loaded.file or loaded.name} is flat: its volume is {1e9 * solid:.2g} mm³, "
            f"expected at least {1e9 * SMALLEST:g}"
        )
    return solid
