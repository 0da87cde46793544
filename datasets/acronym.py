"""ACRONYM and ShapeNetSem as a set of objects with labelled grasps.

    python -m datasets.acronym --grasps acronym/grasps --meshes models-OBJ/models --output FOLDER

ACRONYM (Eppner, Mousavian and Fox, ICRA 2021) names mesh and scale of each object; the mesh is in
ShapeNetSem, which a user downloads apart. ACRONYM's own instructions make each mesh watertight with
a program to compile, Manifold, and simplify it. Neither is needed here: a mesh is taken as it is,
and one that went through that step is welcome too.

```
FOLDER/catalogue.json              what is there, as in `datasets.household.catalogue`
FOLDER/meshes/NAME.obj             the surface, in metres: ACRONYM's scale is applied
FOLDER/grasps/panda/NAME.h5        poses in the frame of that mesh, and ACRONYM's labels
FOLDER/grasps/panda/README.md      the data card, with the licences
```

NAME is that of ACRONYM's file, `Category_hash_scale`. A mesh is written before its grasps and each
file at once, so a run that is killed loses one object at most and the next one goes on from there.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
import typer

from datasets.conversion import separate
from datasets.household.catalogue import (
    CATALOGUE,
    Entry,
    obj_text,
    read_catalogue,
    write_catalogue,
)
from datasets.household.shapes import Polyhedron
from grasp.formats import Grasps, acronym, read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from pcdiff.console import Json, Session, application, progress, run
from pcdiff.errors import InputError
from pcdiff.files import atomic_write, prepare_folder

GRIPPER = "panda"
"""The hand of all of ACRONYM's grasps."""

LABELS = f"grasps/{GRIPPER}"
"""Where the grasps go, relative to the set's folder."""

PROTOCOL = "ACRONYM, FleX"
"""Where the labels come from; those of our own physics have the version of its protocol instead."""

LICENCE = (
    "ShapeNet terms of use (non-commercial research and education); "
    "mass and friction from ACRONYM, CC BY-NC 4.0"
)
"""Of an object in the catalogue."""

LAYOUTS = ("{category}", "meshes/{category}", "", "models", "models-OBJ/models")
"""Folders in that of the meshes in which HASH.obj or HASH.stl is looked for, first come first."""

KEPT = (
    "object/volume",
    "object/density",
    "object/inertia",
    "gripper/configuration",
    "grasps/qualities/flex/object_motion_during_closing_linear",
    "grasps/qualities/flex/object_motion_during_closing_angular",
    "grasps/qualities/flex/object_motion_during_shaking_linear",
    "grasps/qualities/flex/object_motion_during_shaking_angular",
)
"""Numbers of ACRONYM that `Grasps` has no field for and that are copied as they are."""

AT_THE_MESH = 0.9
"""The share of an object's grasps that must reach the mesh; of ACRONYM's own examples all do."""

_NAME = re.compile(r"(?P<category>.+)_[^_]+_(?P<scale>[^_]+)")

app = application("Prepare ACRONYM and ShapeNetSem as objects with labelled grasps.")


@dataclass(frozen=True, eq=False)
class Prepared:
    """One object, ready to be written.

    Attributes:
        name: of its files.
        obj: the mesh in metres.
        grasps: ACRONYM's, which name the mesh that is written.
        kept: the datasets of `KEPT` that ACRONYM's file has.
    """

    name: str
    obj: Object
    grasps: Grasps
    kept: dict[str, np.ndarray]


def grasp_files(folder: Path, categories: Collection[str] | None = None) -> list[Path]:
    """ACRONYM's files in a folder, or in the folder `grasps` in it, sorted.

    Args:
        folder: of the files `Category_hash_scale.h5`.
        categories: their names; by default all files, also those of another name.

    Raises:
        InputError: there is no such folder, no such file in it, or no file of a category.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder")
    files = sorted(folder.glob("*.h5")) or sorted((folder / "grasps").glob("*.h5"))
    if not files:
        raise InputError(f"{folder} has no grasps: no file that ends in .h5")
    if categories is None:
        return files
    category_of = {path: match["category"] for path in files if (match := _match(path))}
    for category in categories:
        if category not in category_of.values():
            there = ", ".join(sorted(set(category_of.values())))
            raise InputError(f"{folder} has no category {category!r}, it has {there or 'none'}")
    return [path for path, category in category_of.items() if category in categories]


def mesh_file(folder: Path, object_file: str) -> Path:
    """The mesh that an ACRONYM file names.

    Args:
        folder: of the meshes, in one of `LAYOUTS`.
        object_file: as ACRONYM has it: `meshes/Mug/HASH.obj`.

    Raises:
        InputError: it is not there, or the name is not of that form.
    """
    named = PurePosixPath(object_file)
    if len(named.parts) < 2 or ".." in named.parts:
        raise InputError(f"it names the mesh {object_file!r}, expected meshes/Category/HASH.obj")
    for ending in (".obj", ".stl"):
        for layout in LAYOUTS:
            place = folder / layout.format(category=named.parent.name)
            if (path := place / f"{named.stem}{ending}").is_file():
                return path
    raise InputError(f"its mesh {named.stem}.obj or .stl is not in {folder}")


def read(path: Path, meshes: Path) -> Prepared:
    """Read one of ACRONYM's files and its mesh, and check that they belong together.

    Args:
        path: `Category_hash_scale.h5`.
        meshes: the folder of meshes, in one of `LAYOUTS`.

    Raises:
        InputError: one of them is missing, damaged or lacks something; or they do not belong
            together. The sentence names one of the two files.
    """
    found = read_grasps(path)
    try:
        _check(path, found)
        mesh = mesh_file(meshes, found.object_file or "")
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error
    obj = load_object(mesh, found.object_scale)
    assert obj.faces is not None  # no format of the endings that are looked for holds clouds
    _check_place(path, found, obj)
    grasps = replace(
        found,
        gripper=GRIPPER,
        object_file=f"meshes/{path.stem}.obj",
        object_scale=1.0,
        object_sha256=obj.sha256,
        sampler={
            "name": "ACRONYM",
            "file": path.name,
            "mesh": mesh.relative_to(meshes).as_posix(),
            "scale": found.object_scale,
        },
        protocol=PROTOCOL,
        tool_center_point=load_gripper(GRIPPER).tool_center_point,
    )
    return Prepared(path.stem, obj, grasps, _kept(path, len(found)))


def write(folder: Path, prepared: Prepared) -> None:
    """Write the mesh and the grasps of an object.

    Args:
        folder: of the set.
        prepared: the object.

    Raises:
        InputError: a file cannot be written.
    """
    import h5py

    name, obj = prepared.name, prepared.obj
    assert obj.faces is not None
    with atomic_write(_mesh_of(folder, name)) as temporary:
        temporary.write_text(obj_text([Polyhedron(obj.vertices, obj.faces)], [name]), "utf-8")
    # The grasps last, so that where there are grasps the mesh is there too.
    with atomic_write(_grasps_of(folder, name)) as temporary:
        acronym.write(temporary, prepared.grasps)
        try:
            with h5py.File(temporary, "r+") as file:
                for dataset, numbers in prepared.kept.items():
                    file[dataset] = numbers
        except RuntimeError as error:  # h5py's, when closing fails on a full disk
            raise OSError(str(error)) from error


def is_there(folder: Path, name: str) -> bool:
    """Whether an object has been written."""
    return _grasps_of(folder, name).is_file() and _mesh_of(folder, name).is_file()


def entries_in(folder: Path) -> Iterator[Entry]:
    """The objects of a set as they lie in its folder, sorted by name.

    Args:
        folder: of the set.

    Raises:
        InputError: a file of grasps is damaged or was written by another program.
    """
    names = sorted(path.stem for path in (folder / LABELS).glob("*.h5"))
    for index, name in enumerate(name for name in names if is_there(folder, name)):
        path, mesh = _grasps_of(folder, name), _mesh_of(folder, name)
        grasps, match = read_grasps(path), _match(path)
        if grasps.protocol != PROTOCOL or match is None:
            raise InputError(
                f"{path} has labels of {grasps.protocol or 'an unknown protocol'}, "
                f"expected a folder without labels or with those of {PROTOCOL}"
            )
        scale = (grasps.sampler or {}).get("scale")
        missing = [
            name
            for name, value in {
                "scale": scale,
                "success": grasps.success,
                "mass": grasps.mass,
                "friction": grasps.friction,
            }.items()
            if value is None
        ]
        if missing:
            raise InputError(f"{path} does not say {', '.join(missing)}: it is damaged, delete it")
        assert scale is not None and grasps.success is not None
        assert grasps.mass is not None and grasps.friction is not None
        yield Entry(
            name=name,
            family=match["category"],
            seed=0,
            index=index,
            file=mesh.relative_to(folder).as_posix(),
            parts=None,
            sha256=hashlib.sha256(mesh.read_bytes()).hexdigest(),
            mass=grasps.mass,
            friction=grasps.friction,
            licence=LICENCE,
            parameters={
                "scale": scale,
                "grasps": len(grasps),
                "successes": int(grasps.success.sum()),
            },
        )


def check_output(folder: Path) -> None:
    """Make the folder of a set, unless it holds a set of another program.

    Raises:
        InputError: it does, or it cannot be written to.
    """
    if (folder / CATALOGUE).exists() and any(e.licence != LICENCE for e in read_catalogue(folder)):
        raise InputError(
            f"{folder} holds a set of other objects, expected an empty folder or one that this "
            "program wrote"
        )
    prepare_folder(folder / "meshes")
    prepare_folder(folder / LABELS)


def card(entries: list[Entry]) -> str:
    """The data card of a set, in Markdown."""
    families: dict[str, list[Entry]] = {}
    for entry in entries:
        families.setdefault(entry.family, []).append(entry)
    rows = [
        f"| {family} | {len(group)} | {_sum(group, 'grasps')} "
        f"| {100 * _sum(group, 'successes') / _sum(group, 'grasps'):.1f} % |"
        for family, group in families.items()
    ]
    return _CARD.format(
        objects=len(entries),
        grasps=_sum(entries, "grasps"),
        protocol=PROTOCOL,
        rows="\n".join(rows),
    )


def _match(path: Path) -> re.Match[str] | None:
    return _NAME.fullmatch(path.stem)


def _mesh_of(folder: Path, name: str) -> Path:
    return folder / "meshes" / f"{name}.obj"


def _grasps_of(folder: Path, name: str) -> Path:
    return folder / LABELS / f"{name}.h5"


def _sum(entries: list[Entry], parameter: str) -> int:
    return sum(int(entry.parameters[parameter]) for entry in entries)


def _check(path: Path, grasps: Grasps) -> None:
    """Refuse a file that lacks what every file of ACRONYM has."""
    match = _match(path)
    if match is None:
        raise InputError("its name is not Category_hash_scale.h5, as in ACRONYM")
    needed = {
        "object/file": grasps.object_file,
        "object/mass": grasps.mass,
        "object/friction": grasps.friction,
        acronym.OBJECT_IN_GRIPPER: grasps.success,
    }
    for dataset, value in needed.items():
        if value is None:
            raise InputError(f"it has no {dataset}")
    if grasps.gripper not in (None, GRIPPER):
        raise InputError(f"its grasps are of the gripper {grasps.gripper!r}, expected {GRIPPER!r}")
    try:
        scale = float(match["scale"])
    except ValueError:
        scale = math.nan
    # The file's is rounded to ten decimals. One that is missing is read as 1.
    if not math.isclose(scale, grasps.object_scale, rel_tol=1e-3):
        raise InputError(
            f"its object/scale is {grasps.object_scale:g}, but its name says {match['scale']}"
        )


def _check_place(path: Path, grasps: Grasps, obj: Object) -> None:
    """Refuse a mesh whose surface is not where the grasps are.

    ACRONYM's grasps are antipodal, successes or not, so there is surface between their fingers,
    and the tool centre point is within half the stroke of it. A mesh in another unit, with other
    axes or moved to the origin is not the one that they are of.
    """
    from scipy.spatial import cKDTree

    gripper = load_gripper(GRIPPER)
    points, _ = obj.surface(5000, np.random.default_rng(0))
    tips = grasps.poses[:, :3, :3] @ gripper.tool_center_point + grasps.poses[:, :3, 3]
    share = float((cKDTree(points).query(tips)[0] <= gripper.stroke / 2).mean())
    if share < AT_THE_MESH:
        raise InputError(
            f"{obj.file} is not the mesh that {path.name} is of: only {100 * share:.0f} % of the "
            f"grasps are at its surface, expected at least {100 * AT_THE_MESH:.0f} %"
        )


def _kept(path: Path, grasps: int) -> dict[str, np.ndarray]:
    """The datasets of `KEPT` in a file of so many grasps."""
    import h5py

    kept = {}
    try:
        with h5py.File(path, "r") as file:
            for name in KEPT:
                dataset = file.get(name)
                if dataset is None:
                    continue
                if (
                    not isinstance(dataset, h5py.Dataset)
                    or dataset.dtype.kind not in "fiu"
                    or dataset.shape not in ((), (1,), (3, 3), (grasps,))
                ):
                    raise InputError(f"{path} has a {name} that is not made of numbers as expected")
                kept[name] = dataset[()]
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as HDF5: its further data are damaged") from error
    return kept


_CARD = """# ACRONYM's grasps on ShapeNetSem's meshes

{objects} objects with {grasps} grasps of the Franka hand, prepared by `python -m datasets.acronym`
from a download of ACRONYM and one of ShapeNetSem.

## Licences

- Grasps and labels: ACRONYM, [CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/).
  **Not for commercial use**, and with attribution. Changed here: the files name other meshes, in
  metres, and say unit, frame and origin.
- Meshes: ShapeNetSem, under [ShapeNet's terms of use](https://shapenet.org/terms): for
  non-commercial research and education, and not to be passed on. Changed here: in metres, as
  triangles, without material.

Whoever trains a network on this set has to respect both.

## What is in a file

`grasps/panda/NAME.h5` has ACRONYM's schema. Lengths are metres, masses kilograms.

- `object/file`: the mesh, relative to the folder that holds `grasps` and `meshes`;
  `object/scale` is 1, since the mesh is in metres. ACRONYM's scale is in `pcdiff_grasp/sampler`.
- `grasps/transforms`: the pose of the hand's base (+z approach, +x closing direction) in the frame
  of the mesh file, whose axes and origin are ShapeNetSem's.
- `grasps/qualities/flex/object_in_gripper`: 1 where the grasp held in FleX, by ACRONYM. The
  attribute `protocol` is "{protocol}"; no grasp was tried again in another simulator.
- `pcdiff_grasp`, attribute `object_sha256`: of the geometry, as
  `grasp.objects.loading.load_object` computes it.

## What to know

- The meshes are ShapeNetSem's surfaces as they were given. They may be open, have faces inside, or
  be doubled. ACRONYM's labels were made with watertight and simplified versions of them, whose
  surfaces differ a little, thin sheets most.
- `object/mass`, `com`, `inertia`, `volume` and `density` (150 kg/m³) are of those versions.
- Candidates are antipodal; the share that held is that of ACRONYM's sampler.

| category | objects | grasps | held |
|---|---|---|---|
{rows}

## Sources

- C. Eppner, A. Mousavian, D. Fox: "ACRONYM: A Large-Scale Grasp Dataset Based on Simulation",
  ICRA 2021.
- M. Savva, A. X. Chang, P. Hanrahan: "Semantically-Enriched 3D Models for Common-sense Knowledge",
  CVPR 2015 Vision meets Cognition Workshop.
- A. X. Chang et al.: "ShapeNet: An Information-Rich 3D Model Repository", arXiv:1512.03012, 2015.
"""


@app.command("acronym")
def main(
    grasps: Annotated[Path, typer.Option(help="ACRONYM's folder of Category_hash_scale.h5.")],
    meshes: Annotated[
        Path, typer.Option(help="ShapeNetSem's models-OBJ/models, or meshes/Category/HASH.obj.")
    ],
    output: Annotated[Path, typer.Option(help="The folder to write, or to go on with.")],
    categories: Annotated[
        str | None, typer.Option(help="Names with commas: Mug,Bowl. Default: all.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="At most so many objects, by name. Default: all.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prepare ACRONYM and ShapeNetSem, without making the meshes watertight.

    Writes meshes in metres, grasps with ACRONYM's labels, a catalogue and a data card. Objects that
    are in the folder stay as they are; one that cannot be used is reported and skipped. ACRONYM is
    not for commercial use.
    """
    session = Session("datasets.acronym", seed=0, as_json=as_json)
    files = grasp_files(grasps, separate(categories))
    if not meshes.is_dir():
        raise InputError(f"{meshes} does not exist or is not a folder")
    check_output(output)
    made, kept, skipped = 0, 0, list[str]()
    with progress("objects", len(files) if count is None else min(count, len(files))) as advance:
        for path in files:
            if made + kept == count:
                break
            if is_there(output, path.stem):
                kept += 1
                advance()
                continue
            try:
                prepared = read(path, meshes)
            except InputError as error:
                skipped.append(str(error))
            else:
                write(output, prepared)
                made += 1
            advance()
    if not made + kept:
        raise InputError(
            f"none of the {len(files)} files of grasps can be used, the first because {skipped[0]}"
        )
    entries = list(entries_in(output))
    write_catalogue(output, entries, {"maker": "datasets.acronym"})
    with atomic_write(output / LABELS / "README.md") as temporary:
        temporary.write_text(card(entries), "utf-8")
    _report(session, output, made, kept, skipped, entries)


def _report(
    session: Session,
    output: Path,
    made: int,
    kept: int,
    skipped: list[str],
    entries: list[Entry],
) -> None:
    for sentence in skipped:
        typer.echo(f"skipped: {sentence}", err=True)
    if skipped:
        typer.echo(f"skipped {len(skipped)} objects in all", err=True)
    results: dict[str, Any] = {
        "output": str(output),
        "made": made,
        "kept": kept,
        "skipped": skipped,
        "objects": len(entries),
        "grasps": _sum(entries, "grasps"),
        "successes": _sum(entries, "successes"),
        "families": dict(Counter(entry.family for entry in entries)),
    }
    text = (
        f"prepared {made} objects, {kept} were there; {output} holds {len(entries)} with "
        f"{results['grasps']} grasps, of which {results['successes']} held; "
        "not for commercial use, see the data card"
    )
    session.finish(results, text)


if __name__ == "__main__":
    run(app)
