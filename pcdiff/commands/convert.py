"""`pcdiff convert`: make the canonical HDF5 file from a folder of clouds or meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcdiff import console
from pcdiff.console import Json, Seed, Session
from pcdiff.errors import InputError


@console.name_options(split="--split", categories="--category")
def convert(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of clouds or meshes, with or without one folder per category; or the "
            "folder of ShapeNetCore v2, ShapeNetCore.v2.PC15k or ModelNet."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Canonical HDF5 file to write.")],
    category: Annotated[
        str | None,
        typer.Option(
            help="Names or synset ids of categories, separated by commas; for a folder of files, "
            "the name of their category.",
            show_default="all; for a folder of files, the name of the folder",
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=10**6,
            help="Number of points per shape.",
            show_default="2048; 15000 for PC15k",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Shares of train, val and test, such as 0.8,0.1,0.1, or the name of the split of "
            "all shapes.",
            show_default="the split of the data set; else 0.8,0.1,0.1",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first shape that cannot be read.")
    ] = False,
    seed: Seed = 0,
    workers: Annotated[
        int,
        typer.Option(
            "--threads",
            "--workers",
            min=1,
            max=4096,
            help="Number of processes; any number gives the same result.",
        ),
    ] = 1,
    as_json: Json = False,
) -> None:
    """Make the canonical HDF5 file from a folder of clouds or meshes.

    Points on meshes are drawn uniformly by area. Clouds are resampled to an equal number of points.
    The coordinates keep the unit and the axes of their files; ModelNet is turned so that y is up.
    Unreadable shapes are reported and skipped.
    """
    import dataclasses

    from pcdiff.clouds.conversion.folders import FolderOptions, convert_folder, find_shapes

    session = Session("pcdiff convert", seed, as_json=as_json)
    names = None if category is None else tuple(name.strip() for name in category.split(","))
    options = FolderOptions(points, names, _split(split), seed, workers, strict)
    found = find_shapes(folder, options)
    console.check_file(output)
    with console.progress("shapes", len(found.shapes)) as advance:
        done = convert_folder(found, output, folder.resolve().name, options, advance)
    for reason in done.skipped:
        session.note(f"skipped: {reason}")
    for remark in done.remarks:
        session.note(remark)
    results = {
        "output": str(output),
        "layout": found.layout,
        "points": found.points,
        "notes": list(found.notes),
        **dataclasses.asdict(done),
    }
    session.finish(results, "\n".join([done.text(output, found.points), *found.notes]))


def _split(text: str | None) -> tuple[float, float, float] | str | None:
    """Parse the shares of the splits; return any other text unchanged."""
    if text is None or "," not in text:
        return text
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--split must be three shares TRAIN,VAL,TEST or train, val or test, got {text!r}"
        ) from error
    return train, val, test
