"""Label objects in a folder: keep existing labels and add the missing labels.

```
FOLDER/grasps/GRIPPER/NAME.h5        labels of one object, in ACRONYM's schema
FOLDER/grasps/GRIPPER/gripper.toml   description of the gripper
FOLDER/grasps/GRIPPER/README.md      data card
FOLDER/grasps/GRIPPER/card.json      data card for programs
```

Labels of samples from a grasp field are in FOLDER/samples/WEIGHTS instead of FOLDER/grasps. WEIGHTS
is the first 12 digits of the SHA-256 of the weights. If the field saw only one side of each object,
the labels are in FOLDER/samples/WEIGHTS-view.

A label file names its mesh relative to FOLDER, so the folder can be moved. One process writes each
file in one step. So a run that is killed loses only the unfinished objects, and the next run
continues with these objects.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grasp.field.items import CANDIDATES, DESCRIPTION, SAMPLES
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import gripper_text
from grasp.labelling.card import ObjectLabels, write_card
from grasp.labelling.jobs import Job, Settings, digest
from grasp.labelling.meshes import file_name
from grasp.labelling.targets import Target, check_content
from grasp.objects.loading import load_object
from grasp.physics import Conditions, protocol_named
from pcdiff.errors import InputError
from pcdiff.files import atomic_write, prepare_folder
from pcdiff.locks import only_process


@dataclass(frozen=True)
class Assumptions:
    """Assumptions about meshes that no catalogue describes.

    Attributes:
        scale: Metres per unit of the meshes; 1 if None.
        density: Density of the objects in kg/m³; the protocol's density if None.
        friction: Coefficient of friction between object and pads; the protocol's friction if None.

    Raises:
        InputError: If a number is out of its range.
    """

    scale: float | None = None
    density: float | None = None
    friction: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise InputError(f"the scale must be a finite number above 0, got {self.scale}")
        Conditions(density=self.density, friction=self.friction)  # refuses numbers out of range

    def as_dict(self) -> dict[str, float | None]:
        """The assumptions as a dictionary, with None for every missing assumption."""
        return dataclasses.asdict(self)


NO_ASSUMPTIONS = Assumptions()
"""No assumptions: required for a folder with a catalogue, and the default for other folders."""


@dataclass(frozen=True)
class LabellingResult:
    """The outcome of labelling a folder.

    Attributes:
        output: Folder of the labels.
        made: Number of objects that this run labelled.
        kept: Number of objects that already had labels.
        grasps: Number of grasps that this run labelled.
        seconds: Duration of the run in seconds.
        skipped: One sentence for each object that cannot be labelled.
        card: Content of `card.json`.
    """

    output: Path
    made: int
    kept: int
    grasps: int
    seconds: float
    skipped: tuple[str, ...]
    card: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The result as a dictionary for JSON."""
        return dataclasses.asdict(self) | {"output": str(self.output)}

    def text(self) -> str:
        """The result as human-readable text."""
        card = self.card
        lines = [
            f"labelled {self.grasps} grasps of {self.made} objects in {self.seconds:.0f} s"
            + (f"; {self.kept} objects already had labels" if self.kept else "")
        ]
        if card["grasps"]:
            low, high = (100 * end for end in card["success_rate_interval"])
            lines.append(
                f"{card['successes']} of all {card['grasps']} grasps succeed: "
                f"{100 * card['success_rate']:.1f} %, 95 % interval {low:.1f} to {high:.1f} %"
            )
        return "\n".join([*lines, f"the data card is in {self.output}"])


Run = Callable[[Iterable[Job]], Iterator[tuple[Job, Grasps | str]]]
"""A function that labels objects and yields each with its labels, or with a sentence about the
error, such as `functools.partial(grasp.labelling.processes.on_cores, attempt)`."""


@dataclass(frozen=True, eq=False)
class LabelFolder:
    """A folder of objects whose grasps are labelled for one gripper.

    A script that calls `label` needs the guard `if __name__ == "__main__":`, because workers are
    spawned processes.

    Attributes:
        folder: Folder of the objects.
        settings: Gripper, candidates and seed.
        assumed: Assumptions about the meshes.
        program: Beginning of the command that the data card states.
    """

    folder: Path
    settings: Settings
    assumed: Assumptions
    program: str

    @property
    def output(self) -> Path:
        """Folder of the labels."""
        return self.folder / _place(self.settings) / file_name(self.settings.gripper.name)

    def label(
        self, targets: Sequence[Target], run: Run, advance: Callable[[], None] = lambda: None
    ) -> LabellingResult:
        """Label every unlabelled object of a list, and write the data card.

        Args:
            targets: Objects in the folder.
            run: Function that labels objects.
            advance: Function that is called after each object.

        Raises:
            InputError: If another process labels into the folder, existing labels were made under
                different conditions, a file is damaged, a process died, or a file cannot be
                written.
        """
        with only_process(self.output):
            prepare_folder(self.output)
            return self._label(targets, run, advance)

    def _label(
        self, targets: Sequence[Target], run: Run, advance: Callable[[], None]
    ) -> LabellingResult:
        begin = time.monotonic()
        skipped: dict[str, str] = {}
        missing = self._missing(targets, skipped, advance)
        with atomic_write(self.output / DESCRIPTION) as temporary:
            temporary.write_text(gripper_text(self.settings.gripper), encoding="utf-8")

        def jobs() -> Iterator[Job]:
            for target in missing:
                job = self._job(target, skipped)
                if job is None:
                    advance()
                else:
                    yield job

        made = grasps = 0
        for job, result in run(jobs()):
            if isinstance(result, str):
                skipped[job.name] = result
            elif other := difference(result, job):
                raise InputError(
                    f"another machine labelled {job.name} under different conditions: {other}"
                )
            else:
                write_grasps(self._file(job.name), result)
                made, grasps = made + 1, grasps + len(result)
            advance()
        sentences = tuple(skipped[each.name] for each in targets if each.name in skipped)
        labels = [
            ObjectLabels(each.name, each.family, each.licence, read_grasps(self._file(each.name)))
            for each in targets
            if each.name not in skipped
        ]
        options = self.assumed.as_dict()
        card = write_card(self.output, self.settings, options, labels, sentences, self.program)
        seconds = round(time.monotonic() - begin, 3)
        kept = len(targets) - len(missing)
        return LabellingResult(self.output, made, kept, grasps, seconds, sentences, card)

    def _file(self, name: str) -> Path:
        return self.output / f"{name}.h5"

    def _missing(
        self, targets: Sequence[Target], skipped: dict[str, str], advance: Callable[[], None]
    ) -> list[Target]:
        """Return the objects without labels, after the existing labels were compared."""
        missing = []
        for target in targets:
            path = self._file(target.name)
            if not path.exists():
                missing.append(target)
                continue
            job = self._job(target, skipped)
            if job is not None and (other := difference(read_grasps(path), job)):
                raise InputError(
                    f"{path} was made under different conditions: {other}; repeat the original "
                    f"command, or move {self.output} to another place"
                )
            advance()
        return missing

    def _job(self, target: Target, skipped: dict[str, str]) -> Job | None:
        """Return the work for an object, or add the reason against it to `skipped`."""
        check_content(self.folder, target)
        try:
            obj = load_object(self.folder / target.file, self.assumed.scale or 1.0)
        except InputError as error:
            skipped[target.name] = f"{target.name}: {error}"
            return None
        protocol = protocol_named(self.settings.protocol)
        density = protocol.density if self.assumed.density is None else self.assumed.density
        return Job(
            name=target.name,
            obj=dataclasses.replace(obj, file=target.file),
            mass=target.mass,
            density=density if target.mass is None else None,
            friction=target.friction,
            settings=self.settings,
        )


def _place(settings: Settings) -> Path:
    """Path of the labels relative to the folder of objects, without the name of the gripper."""
    if settings.weights is None:
        return Path(CANDIDATES)
    return Path(SAMPLES, digest(settings.weights)[:12] + ("-view" if settings.view else ""))


def difference(found: Grasps, job: Job) -> str | None:
    """Describe the first condition that differs between labels and a job; None if all agree.

    Args:
        found: Labels to check.
        job: Job that would make the labels.
    """
    sampler = found.sampler or {}
    conditions = job.conditions()
    expected = {
        "gripper": job.settings.gripper.name,
        "object_file": job.obj.file,
        "object_scale": job.obj.scale,
        "object_sha256": job.obj.sha256,
        "protocol": job.settings.protocol,
        **conditions,
    }
    for name, value in expected.items():
        there = sampler.get(name) if name in conditions else getattr(found, name)
        if there != value:
            return f"{name} must be {value}, got {there}"
    return None
