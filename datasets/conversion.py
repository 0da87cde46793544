"""Options and the report of the converters; `pcdiff.clouds.conversion` does the work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pcdiff.clouds.conversion.writing import Conversion
from pcdiff.console import Session

Output = Annotated[Path, typer.Option(help="Canonical HDF5 file to write.")]
Categories = Annotated[
    str | None,
    typer.Option(
        help="Names or synset ids of categories, separated by commas: chair,02691156. "
        "Default: all categories."
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, help="Number of processes; any number gives the same result.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first shape that cannot be read.")
]


def separate(categories: str | None) -> list[str] | None:
    """Split a text into names of categories at the commas; return None if the text is None.

    Args:
        categories: Names separated by commas; None means all categories.
    """
    return None if categories is None else [name.strip() for name in categories.split(",")]


def report(
    session: Session,
    done: Conversion,
    output: str | os.PathLike[str],
    points: int,
    details: Mapping[str, Any],
) -> None:
    """Print the skipped shapes to standard error and the other results to standard output.

    Args:
        session: Session of the command; it prints the output.
        done: Outcome of the conversion.
        output: File that was written.
        points: Number of points per shape.
        details: Further entries of the JSON output.
    """
    for reason in done.skipped:
        typer.echo(f"skipped: {reason}", err=True)
    if done.skipped:
        typer.echo(f"skipped {len(done.skipped)} shapes in total", err=True)
    results = {"output": str(output), "points": points, **details}
    results |= {"shapes": done.shapes, "skipped": done.skipped}
    session.finish(results, done.text(output, points))
