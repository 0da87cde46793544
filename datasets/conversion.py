"""The common code of all converters: convert a list of shape files to one canonical HDF5 file."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import multiprocessing
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from datasets.shapes import Reader, Shape, attempt
from pcdiff.clouds.canonical import SPLITS, cloud_writer
from pcdiff.clouds.categories import describe_category
from pcdiff.console import Session
from pcdiff.errors import InputError

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


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The outcome of a conversion.

    Attributes:
        shapes: Number of shapes written, as `{category: {split: number}}`.
        skipped: One sentence for each shape that could not be read; the sentence names the file.
    """

    shapes: dict[str, dict[str, int]]
    skipped: list[str]


def separate(categories: str | None) -> list[str] | None:
    """Split a text into names of categories at the commas; return None if the text is None.

    Args:
        categories: Names separated by commas; None means all categories.
    """
    return None if categories is None else [name.strip() for name in categories.split(",")]


def convert(
    shapes: Sequence[Shape],
    read: Reader,
    output: str | os.PathLike[str],
    attributes: Mapping[str, str | int | float],
    workers: int = 1,
    strict: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> Conversion:
    """Read shapes and write them to a canonical file, sorted by category, split and name.

    Args:
        shapes: Shapes to convert.
        read: Function that reads one shape; worker processes need a function that can be pickled.
        output: HDF5 file to write.
        attributes: Attributes of the HDF5 file.
        workers: Number of processes; any number gives the same result.
        strict: Whether to raise an error at the first unreadable shape instead of skipping it.
        advance: Function that is called after each shape.

    Raises:
        InputError: If there are no shapes, no shape can be read, a shape cannot be read although
            `strict` is set, or the output cannot be written.
    """
    if not shapes:
        raise InputError("the list of shapes to convert is empty, expected at least one shape")
    ordered = sorted(shapes, key=lambda s: (s.category, SPLITS.index(s.split), s.name))
    counts: dict[str, dict[str, int]] = {}
    skipped: list[str] = []
    with (
        cloud_writer(output, attributes) as writer,
        contextlib.closing(_read_all(ordered, read, workers)) as results,
    ):
        pairs = zip(ordered, results, strict=True)
        for (category, split), group in itertools.groupby(
            pairs, key=lambda pair: (pair[0].category, pair[0].split)
        ):
            clouds = []
            for _, result in group:
                advance()
                if not isinstance(result, str):
                    clouds.append(result)
                elif strict:
                    raise InputError(result)
                else:
                    skipped.append(result)
            if clouds:
                writer.write(category, split, np.stack(clouds))
                counts.setdefault(category, {})[split] = len(clouds)
        if not counts:
            raise InputError(
                f"none of the {len(ordered)} shapes can be read; the first error is: {skipped[0]}"
            )
    return Conversion(counts, skipped)


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
    lines = [f"wrote {output} with {points} points per shape:"]
    for category, splits in done.shapes.items():
        counts = ", ".join(f"{split} {count}" for split, count in splits.items())
        lines.append(f"  {describe_category(category)}: {counts}")
    results = {"output": str(output), "points": points, **details, **dataclasses.asdict(done)}
    session.finish(results, "\n".join(lines))


def _read_all(
    shapes: Sequence[Shape], read: Reader, workers: int
) -> Generator[NDArray[np.float32] | str]:
    """Yield the points of each shape, or a sentence about the error, in the order of the shapes."""
    try_one = functools.partial(attempt, read)
    if workers == 1:
        yield from map(try_one, shapes)
        return
    # Processes are spawned, because a forked copy of a process with torch's threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(shapes)), mp_context=context)
    try:
        yield from pool.map(try_one, shapes, chunksize=4)
    finally:
        pool.shutdown(cancel_futures=True)
