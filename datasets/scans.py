"""Damage every object of a set as a bad scan does, so that a field is trained on scans too.

    python -m datasets.scans data/household

The program writes `FOLDER/scans/NAME.obj` beside the true mesh `FOLDER/meshes/NAME.obj`. Bumps are
up to 3 mm high; half of the scans have filled cavities and thick walls; some have loose balls.
Labels come from the true mesh. `grasp train` shows the networks both.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from datasets.frozen.rough import Damage, damaged
from datasets.household.catalogue import Entry, obj_text, read_catalogue
from grasp.field.items import SCANS
from grasp.objects.loading import load_object
from grasp.objects.triangles import is_closed
from grasp.physics import cores, processes
from grasp.physics.workers import results_in_order
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.files import atomic_write, prepare_folder

app = application("Make rough scans of the objects of a set.")

_DISTANCE = 0.0008, 0.003  # smallest and largest height of the bumps in metres
_CLOSING = 0.002, 0.015  # smallest and largest radius of filled cavities in metres
_FILLED = 0.5  # share of the scans with filled cavities
_MOST_FLOATERS = 3


def damage_of(seed: int, name: str) -> tuple[Damage, np.random.Generator]:
    """Draw the damage of an object's scan, and the source of randomness for its bumps and balls.

    Args:
        seed: Seed of the set of scans, at least 0.
        name: Name of the object.
    """
    rng = np.random.default_rng([seed, *name.encode(), *b"scan"])
    distance = float(np.exp(rng.uniform(*np.log(_DISTANCE))))
    closing = float(np.exp(rng.uniform(*np.log(_CLOSING))))
    filled = bool(rng.uniform() < _FILLED)
    floaters = int(rng.integers(_MOST_FLOATERS + 1))
    return Damage(distance, closing if filled else 0.0, floaters), rng


def write_scans(
    folder: Path,
    seed: int,
    one_in: int = 1,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> list[str]:
    """Write the missing scans of a set, and return one sentence for each object without a scan.

    Args:
        folder: Set that `datasets.household` wrote.
        seed: Seed of the scans, at least 0.
        one_in: Inverse of the share of the objects that get a scan: every third object for 3.
        workers: Number of processes.
        advance: Function that is called after each object.

    Raises:
        InputError: If the catalogue or a mesh cannot be read, or a file cannot be written.
    """
    entries = read_catalogue(folder)[::one_in]
    prepare_folder(folder / SCANS)
    skipped = []
    with processes(workers) as pool:
        work = functools.partial(_write, folder, seed)
        for sentence in results_in_order(work, entries, pool):
            if sentence:
                skipped.append(sentence)
            advance()
    return skipped


def _write(folder: Path, seed: int, entry: Entry) -> str:
    path = folder / SCANS / Path(entry.file).name
    damage, rng = damage_of(seed, entry.name)
    made_by = {"mesh": entry.sha256, "seed": seed, **dataclasses.asdict(damage)}
    head = f"# {json.dumps(made_by)}\n"
    if path.exists() and path.read_text("utf-8").startswith(head):
        return ""
    obj = load_object(folder / entry.file)
    if obj.faces is None or not is_closed(obj.faces):
        return f"{entry.file} is not watertight, so it has no inside to damage"
    with atomic_write(path) as temporary:
        temporary.write_text(head + obj_text([damaged(obj, damage, rng)], [entry.name]), "utf-8")
    return ""


def digest_of(folder: Path) -> str:
    """Return the SHA-256 of the names and the contents of all scans of a set.

    Args:
        folder: Set with scans.
    """
    digest = hashlib.sha256()
    for path in sorted((folder / SCANS).glob("*.obj")):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@app.command()
def scans(
    folder: Annotated[Path, typer.Argument(help="Set that datasets.household wrote.")],
    one_in: Annotated[int, typer.Option(min=1, help="Scan one in N objects.")] = 1,
    workers: Annotated[
        int, typer.Option(min=0, help="Number of processes; 0 uses one per CPU core.")
    ] = 0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write a rough scan of each object into the folder `scans` of a set."""
    session = Session("datasets.scans", seed, as_json=as_json)
    with progress("objects", len(read_catalogue(folder)[::one_in])) as advance:
        skipped = write_scans(folder, seed, one_in, workers or cores(), advance)
    for sentence in skipped:
        typer.echo(f"skipped: {sentence}", err=True)
    digest = digest_of(folder)
    count = len(list((folder / SCANS).glob("*.obj")))
    session.finish(
        {"output": str(folder / SCANS), "scans": count, "skipped": skipped, "sha256": digest},
        f"{folder / SCANS} has {count} scans, SHA-256 {digest}",
    )


main = functools.partial(run, app)
"""Run the program, with the command-line arguments of the process or with a given list."""


if __name__ == "__main__":
    main()
