"""From a list of shapes, each a file, to one canonical HDF5 file; what the converters share."""

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

Output = Annotated[Path, typer.Option(help="The canonical HDF5 file to write.")]
Categories = Annotated[
    str | None,
    typer.Option(help="Names or synset ids with commas: chair,02691156. Default: all."),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes; any number writes the same clouds.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at a shape that cannot be read.")]


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What became of the shapes.

    Attributes:
        shapes: `{category: {split: number of shapes written}}`.
        skipped: a sentence for each shape that could not be read, naming its file.
    """

    shapes: dict[str, dict[str, int]]
    skipped: list[str]


def separate(categories: str | None) -> list[str] | None:
    """The values of `--categories`, which stand between commas; None, for all, stays None."""
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
    """Read shapes and write them as a canonical file, sorted by category, split and name.

    Args:
        shapes: what to convert.
        read: how to read one shape; a function that a worker process can be sent.
        output: the HDF5 file to write.
        attributes: attributes of that file.
        workers: number of processes; the result does not depend on it.
        strict: whether a shape that cannot be read is an error rather than skipped.
        advance: called after each shape.

    Raises:
        InputError: no shape can be read, or with `strict` one cannot; or `output` cannot be
            written.
    """
    if not shapes:
        raise InputError("there are no shapes to convert")
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
                f"none of the {len(ordered)} shapes can be read, the first because {skipped[0]}"
            )
    return Conversion(counts, skipped)


def report(
    session: Session,
    done: Conversion,
    output: str | os.PathLike[str],
    points: int,
    details: Mapping[str, Any],
) -> None:
    """Print what a conversion did: the skipped shapes on standard error, the rest on output.

    Args:
        session: the run of the command.
        done: what `convert` returned.
        output: the file that was written.
        points: points a shape.
        details: what else the record that `--json` prints should hold.
    """
    for reason in done.skipped:
        typer.echo(f"skipped: {reason}", err=True)
    if done.skipped:
        typer.echo(f"skipped {len(done.skipped)} shapes in all", err=True)
    lines = [f"wrote {output}, {points} points a shape:"]
    for category, splits in done.shapes.items():
        counts = ", ".join(f"{split} {count}" for split, count in splits.items())
        lines.append(f"  {describe_category(category)}: {counts}")
    results = {"output": str(output), "points": points, **details, **dataclasses.asdict(done)}
    session.finish(results, "\n".join(lines))


def _read_all(
    shapes: Sequence[Shape], read: Reader, workers: int
) -> Generator[NDArray[np.float32] | str]:
    """Each shape's points, or why there are none, in the order of the shapes."""
    try_one = functools.partial(attempt, read)
    if workers == 1:
        yield from map(try_one, shapes)
        return
    # Not forked: a forked copy of a process that has threads, as torch's does, may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(shapes)), mp_context=context)
    try:
        yield from pool.map(try_one, shapes, chunksize=4)
    finally:
        pool.shutdown(cancel_futures=True)
