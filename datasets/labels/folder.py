"""Label a folder with a catalogue, or any folder of meshes, by `grasp.labelling.folder`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection
from pathlib import Path

from datasets.household.catalogue import CATALOGUE
from datasets.labels.cluster import on_cluster
from datasets.labels.targets import targets_in
from grasp.labelling.folder import (
    NO_ASSUMPTIONS,
    Assumptions,
    LabelFolder,
    LabellingResult,
    difference,
)
from grasp.labelling.jobs import Settings, attempt
from grasp.labelling.processes import on_cores
from grasp.physics import cores, protocol_named
from grasp.physics.workers import check_workers
from pcdiff.errors import InputError

__all__ = ["Assumptions", "LabellingResult", "difference", "label_folder"]

PROGRAM = "python -m datasets.labels FOLDER"
"""Beginning of the command that a data card states."""


def label_folder(
    folder: str | os.PathLike[str],
    settings: Settings,
    assumed: Assumptions = NO_ASSUMPTIONS,
    *,
    names: Collection[str] | None = None,
    workers: int = 0,
    cluster: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> LabellingResult:
    """Label every unlabelled object in a folder, and write the data card.

    Only one process at a time may label a folder for a gripper. A script that calls `label_folder`
    needs the guard `if __name__ == "__main__":`, because the function spawns processes.

    Args:
        folder: Set with a catalogue of masses and frictions, or any folder of meshes.
        settings: Gripper, candidates and seed.
        assumed: Assumptions about the meshes of a folder without a catalogue.
        names: Names of the objects to label; None labels all objects.
        workers: Number of processes; 0 uses one process per core.
        cluster: Address of a Ray cluster for `datasets.labels.cluster.on_cluster`; None uses
            processes on this machine without Ray.
        advance: Function that is called after each object.

    Raises:
        InputError: If a number is out of range, the folder has no objects, existing labels were
            made under different conditions, the folder has a catalogue but `assumed` is not empty,
            a file is damaged, a process died, or a file cannot be written.
    """
    folder = Path(folder)
    check_workers(workers or cores())
    protocol = protocol_named(settings.protocol)
    targets = targets_in(folder, assumed.friction, protocol)
    if names is not None:
        targets = [each for each in targets if each.name in names]
    if (folder / CATALOGUE).exists() and assumed != NO_ASSUMPTIONS:
        raise InputError(
            f"{folder} has a catalogue, which states scale, mass and friction: the options scale, "
            "density and friction must not be set"
        )
    if cluster is None:
        run = functools.partial(on_cores, attempt, workers=workers)
    else:
        run = functools.partial(on_cluster, attempt, address=cluster, workers=workers)
    return LabelFolder(folder, settings, assumed, PROGRAM).label(targets, run, advance)
