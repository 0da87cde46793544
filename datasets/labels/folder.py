"""The labels of a folder of objects: what is there, what is missing, and the files of both.

```
FOLDER/grasps/GRIPPER/NAME.h5     the labels of one object, in ACRONYM's schema
FOLDER/grasps/GRIPPER/README.md   the data card
FOLDER/grasps/GRIPPER/card.json   the same for programs
```

Labels of a field's samples are in FOLDER/samples/WEIGHTS in place of FOLDER/grasps, with the first
letters of the SHA-256 of the weights; in FOLDER/samples/WEIGHTS-view if the field saw one side of
each object.

Each file names its mesh relative to FOLDER, so the folder can be moved. A file is written in one
step and by one process, so a run that is killed loses only the objects it was at, and the next one
goes on from there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.household.catalogue import CATALOGUE, read_catalogue
from datasets.household.meshes import mesh_files
from datasets.labels.card import Labels, write_card
from datasets.labels.cluster import on_cluster
from datasets.labels.labelling import Job, Settings, attempt, digest
from datasets.labels.processes import on_cores
from grasp.field.items import CANDIDATES, SAMPLES
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.objects.loading import load_object
from grasp.physics import PROTOCOL, Conditions, cores
from grasp.physics.workers import check_workers
from pcdiff.errors import InputError
from pcdiff.files import prepare_folder


@dataclass(frozen=True)
class Target:
    """One object of a folder.

    Attributes:
        name: unique in the folder.
        family: the family's name; "mesh" where no catalogue tells.
        file: of its mesh, relative to the folder, with forward slashes.
        mass: kilograms; None where no catalogue tells.
        friction: coefficient against a gripper's pads.
        licence: of the mesh.
        content_sha256: of the mesh file; None where no catalogue tells.
    """

    name: str
    family: str
    file: str
    mass: float | None
    friction: float
    licence: str
    content_sha256: str | None


@dataclass(frozen=True)
class Labelled:
    """What a run did.

    Attributes:
        output: the folder of the labels.
        made: objects that it labelled.
        kept: objects whose labels were there before.
        grasps: that it labelled.
        seconds: that it took.
        skipped: a sentence for each object that cannot be labelled.
        card: the content of `card.json`.
    """

    output: Path
    made: int
    kept: int
    grasps: int
    seconds: float
    skipped: tuple[str, ...]
    card: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As a dictionary that JSON can hold."""
        return dataclasses.asdict(self) | {"output": str(self.output)}

    def text(self) -> str:
        """For a person."""
        card = self.card
        lines = [
            f"labelled {self.grasps} grasps of {self.made} objects in {self.seconds:.0f} s"
            + (f"; {self.kept} had their labels before" if self.kept else "")
        ]
        if card["grasps"]:
            low, high = (100 * end for end in card["success_rate_interval"])
            lines.append(
                f"of all {card['grasps']} grasps, {card['successes']} hold: "
                f"{100 * card['success_rate']:.1f} %, 95 % interval {low:.1f} to {high:.1f} %"
            )
        return "\n".join([*lines, f"the data card is in {self.output}"])


def label_folder(
    folder: str | os.PathLike[str],
    settings: Settings,
    *,
    scale: float | None = None,
    density: float | None = None,
    friction: float | None = None,
    workers: int = 0,
    cluster: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Labelled:
    """Label every object of a folder that has no labels yet, and write the data card.

    One process at a time may label a folder for a gripper. A script that calls this needs the usual
    guard `if __name__ == "__main__":`, for processes are spawned.

    Args:
        folder: a set with a catalogue, whose masses and frictions are used; or any meshes.
        settings: gripper, candidates and seed.
        scale: metres in a unit of the meshes; 1 unless given. Not for a set with a catalogue, nor
            are the next two.
        density: of the objects, kg/m³; the protocol's unless given.
        friction: coefficient of object and pads; the protocol's unless given.
        workers: processes; 0 for as many as there are cores.
        cluster: the address of a Ray cluster, or `datasets.labels.cluster.LOCAL`; None for
            processes without Ray.
        advance: called after each object.

    Raises:
        InputError: a number is out of range; there is nothing to label; there are labels of other
            conditions; an argument does not go with the folder; the folder is damaged; a process
            died; or a file cannot be written.
    """
    begin = time.monotonic()
    folder = Path(folder)
    options = {"scale": scale, "density": density, "friction": friction}
    if scale is not None and not 0 < scale < math.inf:
        raise InputError(f"the scale must be a number above 0, got {scale}")
    Conditions(density=density, friction=friction)  # refuses numbers out of range
    check_workers(workers or cores())
    targets = targets_in(folder, friction)
    if (folder / CATALOGUE).exists() and any(value is not None for value in options.values()):
        raise InputError(
            f"{folder} has a catalogue, which says scale, mass and friction: expected none of them"
        )
    output = folder / _place(settings) / _file_name(settings.gripper.name)
    prepare_folder(output)
    skipped: dict[str, str] = {}

    def job_for(target: Target) -> Job | None:
        _check_content(folder, target)
        try:
            obj = load_object(folder / target.file, 1.0 if scale is None else scale)
        except InputError as error:
            skipped[target.name] = f"{target.name}: {error}"
            return None
        given = PROTOCOL.density if density is None else density
        return Job(
            name=target.name,
            obj=dataclasses.replace(obj, file=target.file),
            mass=target.mass,
            density=given if target.mass is None else None,
            friction=target.friction,
            settings=settings,
        )

    # Before any work, so that labels of other conditions stop it here.
    missing = []
    for target in targets:
        path = output / f"{target.name}.h5"
        if not path.exists():
            missing.append(target)
            continue
        job = job_for(target)
        if job is not None and (other := difference(read_grasps(path), job)):
            raise InputError(
                f"{path} is of other conditions: {other}; repeat the command that it was made "
                f"with, or move {output} away"
            )
        advance()

    def jobs() -> Iterator[Job]:
        for target in missing:
            job = job_for(target)
            if job is None:
                advance()
            else:
                yield job

    made = grasps = 0
    if cluster is None:
        results = on_cores(attempt, jobs(), workers)
    else:
        results = on_cluster(attempt, jobs(), cluster, workers)
    for job, result in results:
        if isinstance(result, str):
            skipped[job.name] = result
        elif other := difference(result, job):
            raise InputError(f"another machine labelled {job.name} in other conditions: {other}")
        else:
            write_grasps(output / f"{job.name}.h5", result)
            made, grasps = made + 1, grasps + len(result)
        advance()
    sentences = tuple(skipped[each.name] for each in targets if each.name in skipped)
    labels = [
        Labels(each.name, each.family, each.licence, read_grasps(output / f"{each.name}.h5"))
        for each in targets
        if each.name not in skipped
    ]
    card = write_card(output, settings, options, labels, sentences)
    seconds = round(time.monotonic() - begin, 3)
    kept = len(targets) - len(missing)
    return Labelled(output, made, kept, grasps, seconds, sentences, card)


def _place(settings: Settings) -> Path:
    """Where labels are, within the folder of their objects; see `grasp.field.items`."""
    if settings.weights is None:
        return Path(CANDIDATES)
    return Path(SAMPLES, digest(settings.weights)[:12] + ("-view" if settings.view else ""))


def targets_in(folder: Path, friction: float | None = None) -> list[Target]:
    """The objects of a folder: those of its catalogue, or else all its meshes.

    Args:
        folder: the folder.
        friction: of objects that no catalogue tells of; the protocol's unless given.

    Raises:
        InputError: there is no mesh; two of them would have the same name; or the catalogue cannot
            be read.
    """
    if (folder / CATALOGUE).exists():
        targets = [
            Target(e.name, e.family, e.file, e.mass, e.friction, e.licence, e.sha256)
            for e in read_catalogue(folder)
        ]
    else:
        given = PROTOCOL.friction if friction is None else friction
        files = [path.relative_to(folder) for path in mesh_files(folder)]
        targets = [
            Target(_name(file), "mesh", file.as_posix(), None, given, "unknown", None)
            for file in files
        ]
    seen: dict[str, Target] = {}
    for target in targets:
        other = seen.setdefault(target.name, target)
        if other is not target:
            raise InputError(
                f"{folder} has {other.file} and {target.file}, whose labels would both be "
                f"{target.name}.h5: rename one"
            )
    return targets


def difference(found: Grasps, job: Job) -> str | None:
    """What tells labels from those that a job gives, or None if nothing does.

    Args:
        found: the labels.
        job: the job.
    """
    sampler = found.sampler or {}
    conditions = job.conditions()
    expected = {
        "gripper": job.settings.gripper.name,
        "object_file": job.obj.file,
        "object_scale": job.obj.scale,
        "object_sha256": job.obj.sha256,
        "protocol": PROTOCOL.version,
        **conditions,
    }
    for name, value in expected.items():
        there = sampler.get(name) if name in conditions else getattr(found, name)
        if there != value:
            return f"its {name} is {there}, expected {value}"
    return None


def _check_content(folder: Path, target: Target) -> None:
    """Raise if the mesh is not the one of the catalogue."""
    if target.content_sha256 is None:
        return
    path = folder / target.file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if digest != target.content_sha256:
        raise InputError(f"{path} is not the mesh that the catalogue tells of")


def _name(file: Path) -> str:
    """Of a mesh that has none: its path, as a file name. Two files may differ in the ending."""
    return _file_name("_".join([*file.parts[:-1], file.stem, file.suffix[1:].lower()]))


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text)
