"""The program `python -m datasets.household --count 60 --output data/household`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from datasets.household.catalogue import Entry
from datasets.household.plans import (
    UNKNOWN_LICENCE,
    SetOptions,
    check_apart,
    plan_families,
    plan_folder,
    plan_pybullet,
)
from datasets.household.sheet import MOST_TILES, write_sheet
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.errors import InputError

app = application("Make a set of objects to grasp.")


@app.command()
def household(
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**6,
            help="Number of objects. Default: 60; with --meshes or --pybullet, all of their "
            "meshes.",
        ),
    ] = None,
    families: Annotated[
        str | None, typer.Option(help="Families, separated by commas: mug,bowl. Default: all.")
    ] = None,
    meshes: Annotated[
        Path | None, typer.Option(help="Use the meshes of this folder instead of making objects.")
    ] = None,
    pybullet: Annotated[
        bool,
        typer.Option(
            "--pybullet", help="Use the random meshes of pybullet_data instead of making objects."
        ),
    ] = False,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Metres per unit of the meshes; for objects made here, the factor by which they "
            "are enlarged. Default: 1; 0.015 with --pybullet."
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the meshes of --meshes, for the catalogue. Default: unknown."
        ),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(help="Density of every object in kg/m³. Default: that of its material."),
    ] = None,
    friction: Annotated[
        float | None,
        typer.Option(
            help="Coefficient of friction of every object. Default: that of its material."
        ),
    ] = None,
    roughness: Annotated[
        float | None,
        typer.Option(
            help="Largest root mean square unevenness of the parts in metres, about 0.0001 for "
            "real surfaces; it makes simulated labels independent of perfectly flat faces. "
            "Default: none."
        ),
    ] = None,
    sheet: Annotated[bool, typer.Option(help="Draw pictures of the objects in sheet.png.")] = True,
    labels: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**6,
            help="Also label this many grasps of each object, as datasets.labels does.",
        ),
    ] = None,
    gripper: Annotated[
        str | None,
        typer.Option(
            help="Gripper for --labels: the name of a shipped one, or a .toml file. Default: panda."
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Make a set of objects: meshes in metres, convex parts, masses, frictions and pictures.

    The same seed makes the same objects; with a larger count, the first objects stay the same.
    """
    session = Session("datasets.household", seed, as_json=as_json)
    if gripper is not None and labels is None:
        raise InputError("--gripper is for --labels")
    settings = None
    if labels is not None:
        from datasets.labels import Settings
        from grasp.grippers.gripper import load_gripper

        # Load the gripper first, so that a wrong name fails before the objects are made.
        settings = Settings(load_gripper(gripper or "panda"), labels, seed=seed)
    if (meshes is not None) + pybullet + (families is not None) > 1:
        raise InputError("expected at most one of --families, --meshes and --pybullet")
    if licence is not None and meshes is None:
        raise InputError("--licence is for --meshes: the licence of the others is known")
    options = SetOptions(seed, count, scale, density, friction, roughness)
    if meshes is not None:
        check_apart(meshes, output)
        plan = plan_folder(options, meshes, licence or UNKNOWN_LICENCE)
    elif pybullet:
        plan = plan_pybullet(options)
    else:
        chosen = [name.strip() for name in families.split(",")] if families else None
        plan = plan_families(options, chosen)
    with progress("objects", plan.total) as advance:
        entries = plan.write(output, advance)
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
        "skipped": plan.skipped,
        "sheet": None if drawn is None else str(drawn),
        "labels": None if labelled is None else labelled.as_dict(),
    }
    for sentence in [*plan.skipped, *(labelled.skipped if labelled else ())]:
        typer.echo(f"skipped: {sentence}", err=True)
    text = _text(results, entries)
    session.finish(results, text if labelled is None else f"{text}\n{labelled.text()}")


def _text(results: dict[str, Any], entries: list[Entry]) -> str:
    masses = sorted(entry.mass for entry in entries)
    lines = [
        f"wrote {results['objects']} objects to {results['output']}, "
        f"with masses of {masses[0]:.3f} to {masses[-1]:.3f} kg, in these families:",
        "  " + ", ".join(f"{name} {number}" for name, number in results["families"].items()),
    ]
    if results["skipped"]:
        lines.append(f"skipped {len(results['skipped'])} files")
    if results["sheet"]:
        lines.append(f"pictures are in {results['sheet']}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program.

    Args:
        arguments: Command-line arguments; None means those of the process.
    """
    run(app, arguments)


if __name__ == "__main__":
    main()
