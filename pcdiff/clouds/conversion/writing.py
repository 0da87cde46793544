"""Conversion of a list of shape files to one canonical HDF5 file."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import multiprocessing
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from pcdiff.clouds.canonical import SPLITS, cloud_writer
from pcdiff.clouds.categories import describe_category
from pcdiff.clouds.conversion.shapes import Reader, Shape, ShapePoints, attempt
from pcdiff.errors import InputError


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The outcome of a conversion.

    Attributes:
        shapes: Number of shapes written, as `{category: {split: number}}`.
        skipped: One sentence for each shape that could not be read; the sentence names the file.
        subsampled: Number of clouds of which a random subset of the points was taken.
        repeated: Number of clouds with fewer points than requested, whose points were repeated.
        remarks: Sentences about what was left out of a file; each sentence names the file.
    """

    shapes: dict[str, dict[str, int]]
    skipped: list[str]
    subsampled: int = 0
    repeated: int = 0
    remarks: tuple[str, ...] = ()

    def text(self, output: str | os.PathLike[str], points: int) -> str:
        """Return the number of shapes in the file as human-readable text.

        Args:
            output: File that was written.
            points: Number of points per shape.
        """
        lines = [f"wrote {output} with {points} points per shape:"]
        for category, splits in self.shapes.items():
            counts = ", ".join(f"{split} {count}" for split, count in splits.items())
            lines.append(f"  {describe_category(category)}: {counts}")
        if self.subsampled:
            lines.append(f"{self.subsampled} clouds had more points: a random subset was taken")
        if self.repeated:
            lines.append(f"{self.repeated} clouds had fewer points: points were repeated")
        return "\n".join(lines)


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
    points = 0
    counts: dict[str, dict[str, int]] = {}
    skipped: list[str] = []
    available: list[int] = []
    remarks: list[str] = []
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
                if isinstance(result, ShapePoints):
                    if result.available is not None:
                        available.append(result.available)
                    remarks += result.remarks
                    clouds.append(result.points)
                elif strict:
                    raise InputError(result)
                else:
                    skipped.append(result)
            if clouds:
                points = len(clouds[0])
                writer.write(category, split, np.stack(clouds))
                counts.setdefault(category, {})[split] = len(clouds)
        if not counts:
            raise InputError(
                f"none of the {len(ordered)} shapes can be read; the first error is: {skipped[0]}"
            )
    more = sum(count > points for count in available)
    fewer = sum(count < points for count in available)
    return Conversion(counts, skipped, more, fewer, tuple(remarks))


def _read_all(shapes: Sequence[Shape], read: Reader, workers: int) -> Generator[ShapePoints | str]:
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
