"""The program `python -m datasets.household --count 60 --output data/household`."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated, Any

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

app = application("Write a set of objects to grasp.")


@app.command()
def household(
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**6,
            help="Largest number of objects. Default: 60; with --meshes or --pybullet, all meshes.",
        ),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(
            help="Names of families, separated by commas: mug,bowl. Default: all families."
        ),
    ] = None,
    meshes: Annotated[
        Path | None, typer.Option(help="Folder of meshes to use instead of synthetic objects.")
    ] = None,
    pybullet: Annotated[
        bool,
        typer.Option(
            "--pybullet",
            help="Use the random meshes of pybullet_data instead of synthetic objects.",
        ),
    ] = False,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Metres per unit of the meshes; for synthetic objects, the factor that multiplies "
            "all lengths. Default: 1; 0.015 with --pybullet."
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the meshes from --meshes, for the catalogue. Default: unknown."
        ),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(
            help="Density of every object in kg/m³. Default: the density of the object's material."
        ),
    ] = None,
    friction: Annotated[
        float | None,
        typer.Option(
            help="Coefficient of friction between every object and the gripper's pads. Default: "
            "the friction of the object's material."
        ),
    ] = None,
    roughness: Annotated[
        float | None,
        typer.Option(
            help="Largest root mean square unevenness of the convex parts in metres; real "
            "surfaces have approximately 0.0001. Labels that are simulated with uneven parts do "
            "not rely on perfectly flat faces. Default: no unevenness."
        ),
    ] = None,
    sheet: Annotated[bool, typer.Option(help="Draw pictures of the objects in sheet.png.")] = True,
    labels: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**6,
            help="Number of grasps per object to label with datasets.labels. Default: no labels.",
        ),
    ] = None,
    gripper: Annotated[
        str | None,
        typer.Option(
            help="Gripper for --labels: the name of a shipped gripper, or a .toml file. "
            "Default: panda."
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write a set of objects: meshes in metres, convex parts, masses, frictions and pictures.

    The same seed gives the same objects. A larger count adds objects at the end and does not
    change the other objects.
    """
    session = Session("datasets.household", seed, as_json=as_json)
    if gripper is not None and labels is None:
        raise InputError("--gripper needs --labels, because only labels depend on a gripper")
    settings = None
    if labels is not None:
        from datasets.labels import Settings
        from grasp.grippers.gripper import load_gripper

        # Load the gripper first, so that a wrong name fails before the objects are made.
        settings = Settings(load_gripper(gripper or "panda"), labels, seed=seed)
    if (meshes is not None) + pybullet + (families is not None) > 1:
        raise InputError("--families, --meshes and --pybullet cannot be used together")
    if licence is not None and meshes is None:
        raise InputError("--licence needs --meshes: the licences of all other objects are known")
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


main = partial(run, app)
"""Run the program, with the command-line arguments of the process or with a given list."""


if __name__ == "__main__":
    main()
