"""The program: `python -m datasets.household --count 60 --output data/household`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

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
    as_of,
    check_family,
    make_set,
    scaled,
)
from datasets.household.roughness import roughened
from datasets.household.sheet import MOST_TILES, write_sheet
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.errors import InputError

LICENCE = "MIT"
"""Of the meshes that this program makes: that of the program."""

app = application("Make a set of objects to grasp.")


@app.command()
def household(
    output: Annotated[Path, typer.Option(help="The folder to write.")],
    count: Annotated[
        int | None,
        typer.Option(min=1, max=10**6, help="How many objects. Default: 60, or all meshes."),
    ] = None,
    families: Annotated[
        str | None, typer.Option(help="Names with commas: mug,bowl. Default: all.")
    ] = None,
    meshes: Annotated[
        Path | None, typer.Option(help="Take the meshes of this folder instead of making some.")
    ] = None,
    pybullet: Annotated[
        bool, typer.Option("--pybullet", help="Take the random meshes of pybullet_data instead.")
    ] = False,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Metres in a unit of the meshes; of what is made, how much larger than drawn. "
            "Default: 1; 0.015 for --pybullet."
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Of the meshes of --meshes, for the catalogue. Default: unknown."),
    ] = None,
    density: Annotated[
        float | None, typer.Option(help="Of every object, kg/m³. Default: of its material.")
    ] = None,
    friction: Annotated[
        float | None, typer.Option(help="Of every object. Default: of its material.")
    ] = None,
    roughness: Annotated[
        float | None,
        typer.Option(
            help="Make the parts uneven by up to this, metres, a tenth of a millimetre like real "
            "surfaces: for labels, physics counts on no perfect face."
        ),
    ] = None,
    sheet: Annotated[bool, typer.Option(help="Whether to draw sheet.png.")] = True,
    labels: Annotated[
        int | None,
        typer.Option(
            min=1, max=10**6, help="Also label so many grasps of each, as datasets.labels does."
        ),
    ] = None,
    gripper: Annotated[
        str | None, typer.Option(help="Of --labels: a name or a .toml file. Default: panda.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Make a set of objects: meshes in metres, convex parts, mass, friction, a sheet of pictures.

    The same seed gives the same objects, and a larger count begins with the same ones.
    """
    session = Session("datasets.household", seed, as_json=as_json)
    if gripper is not None and labels is None:
        raise InputError("--gripper is for --labels")
    settings = None
    if labels is not None:
        from datasets.labels import Settings
        from grasp.grippers.gripper import load_gripper

        # Now, so that a wrong name costs no set of objects.
        settings = Settings(load_gripper(gripper or "panda"), labels, seed=seed)
    skipped: list[str] = []
    source: dict[str, Any]
    objects: Iterator[HouseholdObject]
    if (meshes is not None) + pybullet + (families is not None) > 1:
        raise InputError("expected at most one of --families, --meshes and --pybullet")
    if licence is not None and meshes is None:
        raise InputError("--licence is for --meshes: the licence of the others is known")
    if scale is not None and not 0 < scale < float("inf"):
        raise InputError(f"--scale must be a number above 0, got {scale}")
    if meshes is not None:
        _check_apart(meshes, output)
        factor = 1.0 if scale is None else scale
        total = len(mesh_files(meshes))
        source = {"maker": "folder", "name": meshes.resolve().name, "scale": factor, "seed": seed}
        objects = objects_in(meshes, factor, seed, skipped.append)
        licence = licence or "unknown"
    elif pybullet:
        factor = PYBULLET_SCALE if scale is None else scale
        total = len(pybullet_meshes())
        source = {"maker": "pybullet_data", "scale": factor, "seed": seed}
        objects = pybullet_objects(factor, seed, skipped.append)
        licence = PYBULLET_LICENCE
    else:
        chosen = [name.strip() for name in families.split(",")] if families else list(FAMILIES)
        for name in chosen:
            check_family(name)
        total = 60 if count is None else count
        source = {"maker": "datasets.household", "families": chosen, "seed": seed}
        objects = make_set(total, seed, chosen)
        if scale is not None:
            source["scale"] = scale
            objects = (scaled(each, scale) for each in objects)
        licence = LICENCE
    physics = {"density": density, "friction": friction, "roughness": roughness}
    source |= {name: value for name, value in physics.items() if value is not None}
    objects = (as_of(each, density, friction) for each in objects)
    if roughness is not None:
        objects = (roughened(each, roughness) for each in objects)
    total = total if count is None else min(count, total)
    with progress("objects", total) as advance:
        entries = write_set(output, islice(objects, count), source, licence, advance)
    drawn = None
    if sheet:
        with progress("pictures", min(len(entries), MOST_TILES)) as advance:
            drawn = write_sheet(output, entries, advance)
    labelled = None
    if settings is not None:
        from datasets.labels import label_folder

        with progress("labels", len(entries)) as advance:
            labelled = label_folder(output, settings, advance=advance)
    results = {
        "output": str(output),
        "objects": len(entries),
        "families": dict(Counter(entry.family for entry in entries)),
        "skipped": skipped,
        "sheet": None if drawn is None else str(drawn),
        "labels": None if labelled is None else labelled.as_dict(),
    }
    for sentence in [*skipped, *(labelled.skipped if labelled else ())]:
        typer.echo(f"skipped: {sentence}", err=True)
    text = _text(results, entries)
    session.finish(results, text if labelled is None else f"{text}\n{labelled.text()}")


def _check_apart(meshes: Path, output: Path) -> None:
    """Raise if what is written would be among what is read."""
    read, written = meshes.resolve(), (output / MESHES).resolve()
    if written.is_relative_to(read) or read.is_relative_to(written):
        raise InputError(
            f"the meshes of {output} would be written among those of {meshes}: expected another "
            "--output"
        )


def _text(results: dict[str, Any], entries: list[Entry]) -> str:
    masses = sorted(entry.mass for entry in entries)
    lines = [
        f"wrote {results['objects']} objects to {results['output']}, "
        f"{masses[0]:.3f} to {masses[-1]:.3f} kg, of each family:",
        "  " + ", ".join(f"{name} {number}" for name, number in results["families"].items()),
    ]
    if results["skipped"]:
        lines.append(f"skipped {len(results['skipped'])} files")
    if results["sheet"]:
        lines.append(f"pictures are in {results['sheet']}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program; `arguments` default to the process's own."""
    run(app, arguments)


if __name__ == "__main__":
    main()
