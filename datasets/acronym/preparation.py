"""Prepare a whole set: convert every object, then write the catalogue and the data card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.acronym.card import card
from datasets.acronym.folder import (
    LABELS,
    entries_in,
    is_written,
    prepare_set_folder,
    write_labelled,
)
from datasets.acronym.reading import read_labelled
from datasets.household.catalogue import Entry, write_catalogue
from pcdiff.errors import InputError
from pcdiff.files import atomic_write


@dataclass(frozen=True)
class Preparation:
    """The outcome of preparing a set.

    Attributes:
        made: Number of objects that this run wrote.
        kept: Number of objects that an earlier run had written.
        skipped: One sentence for each object that could not be used.
        entries: Entries of the catalogue, for all objects in the folder.
    """

    made: int
    kept: int
    skipped: tuple[str, ...]
    entries: tuple[Entry, ...]


def prepare(
    files: Sequence[Path],
    meshes: Path,
    output: Path,
    count: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Preparation:
    """Write the objects that ACRONYM files describe into the folder of a set.

    Objects that are already in the folder stay unchanged.

    Args:
        files: ACRONYM files, at least one.
        meshes: Folder of the meshes, in one of `datasets.acronym.files.LAYOUTS`.
        output: Folder of the set.
        count: Largest number of objects to use from `files`, at least 1; None uses all objects.
        advance: Function that is called after each object.

    Raises:
        InputError: If the folder of meshes does not exist, no object can be used, the output folder
            contains a set that another program wrote, or a file cannot be written.
    """
    if not meshes.is_dir():
        raise InputError(f"{meshes} does not exist or is not a folder")
    prepare_set_folder(output)
    made, kept, skipped = 0, 0, list[str]()
    for path in files:
        if made + kept == count:
            break
        if is_written(output, path.stem):
            kept += 1
            advance()
            continue
        try:
            labelled = read_labelled(path, meshes)
        except InputError as error:
            skipped.append(str(error))
        else:
            write_labelled(output, labelled)
            made += 1
        advance()
    if not made + kept:
        raise InputError(
            f"none of the {len(files)} grasp files can be used; the first error is: {skipped[0]}"
        )
    entries = list(entries_in(output))
    write_catalogue(output, entries, {"maker": "datasets.acronym"})
    with atomic_write(output / LABELS / "README.md") as temporary:
        temporary.write_text(card(entries), "utf-8")
    return Preparation(made, kept, tuple(skipped), tuple(entries))
