"""The labels of one object: what worker processes do, here or on another machine."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.candidates import candidates
from grasp.judging.contacts import FRICTION
from grasp.judging.labels import generator, with_outcomes
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, convex_parts, label_digests, simulate
from grasp.physics.body import rigid_body
from pcdiff.console import version
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.field.model import GraspField
    from grasp.field.sampling import Sampling

STREAM = 101
"""The second word of the candidates' seeds; the streams of `grasp.judging.evaluation` are
others."""

VIEW_STREAM = 103
"""The second word of the views' seeds; that of the data card is another."""

NEAR_MISSES = 0.25
"""The share of near misses among the candidates, unless another is given."""

SAMPLE = "sample"
"""The kind of a grasp that a field gave."""

PACKAGES = ("mujoco", "coacd", "numpy")
"""What else decides about labels; each file says with which version it was made."""


@dataclass(frozen=True, eq=False)
class Settings:
    """What is the same for all objects of a set.

    Attributes:
        gripper: the gripper.
        count: candidates of each object.
        near_misses: the share of near misses among them, 0 to 1.
        seed: the candidates of an object depend on it and on the object's geometry.
        weights: of a `GraspField` whose samples are labelled in place of candidates: a name or a
            file.
        view: whether the field sees one side of each object, as
            `grasp.judging.sources.field_source` has it, in place of the whole. The view depends on
            the seed and on the object's geometry.

    Raises:
        InputError: a number is out of its range, there are no such weights, or there is a view but
            no field to see it.
    """

    gripper: Gripper
    count: int = 500
    near_misses: float = NEAR_MISSES
    seed: int = 0
    weights: str | None = None
    view: bool = False

    def __post_init__(self) -> None:
        if self.view and self.weights is None:
            raise InputError("a view is what a field sees, so --view needs --weights")
        if self.weights is not None and self.near_misses:
            raise InputError("the samples of a field have no near misses: expected a share of 0")
        if self.count < 1 or self.seed < 0:
            raise InputError(
                "labels need at least 1 candidate an object and a seed of 0 or more, got "
                f"{self.count} and {self.seed}"
            )
        if not 0 <= self.near_misses <= 1:
            raise InputError(f"the share of near misses must be 0 to 1, got {self.near_misses}")


@dataclass(frozen=True, eq=False)
class Job:
    """One object to label. It is all data, so that any machine can do it.

    Attributes:
        name: of the object, unique in its set.
        obj: a mesh; its `file` is what the labels will name.
        mass: kilograms; None for the volume times `density`.
        density: kg/m³, where there is no mass.
        friction: the coefficient between object and pads.
        settings: what is the same for all objects.
    """

    name: str
    obj: Object
    mass: float | None
    density: float | None
    friction: float
    settings: Settings

    @property
    def source(self) -> dict[str, Any]:
        """What the grasps come from, as JSON can hold it."""
        if self.settings.weights is None:
            return {"name": "antipodal candidates", "cone_friction": FRICTION}
        known = {
            "weights": digest(self.settings.weights),
            "sampling": sampling(self.settings.view).as_dict(),
        }
        if self.settings.view:
            # Another name too, so that neither kind of samples passes for the other.
            return {"name": "samples of a field from one view", "view": True, **known}
        return {"name": "samples of a field", **known}

    def conditions(self) -> dict[str, Any]:
        """What the labels depend on beside protocol and geometry, as JSON can hold it.

        Labels of equal conditions are equal.
        """
        settings = self.settings
        return {
            **self.source,
            "count": settings.count,
            "near_misses": settings.near_misses,
            "seed": settings.seed,
            "stream": STREAM,
            **label_digests(self.obj, settings.gripper),
            "mass": self.mass,
            "density": self.density,
            "friction": self.friction,
        }


def label(job: Job) -> Grasps:
    """Draw the candidates of an object, or a field's samples, and put each through physics.

    Physics has the whole object, also where the field saw one side of it.

    Args:
        job: the object.

    Returns:
        All candidates with their outcome, in the order in which they were drawn. Their `sampler`
        holds the conditions, under `kinds` the kind of each candidate
        (`grasp.judging.candidates.KINDS`), and under `made_with` the versions of what made them. No
        grasps, with the reason, if the object has no two opposite contacts within the stroke.

    Raises:
        InputError: physics cannot have the object: it is a cloud, has no volume, or coacd finds no
            parts; or too few points of it are in view.
    """
    settings = job.settings
    # Found once, with what coacd finds as the object's own.
    obj = dataclasses.replace(job.obj, parts=tuple(convex_parts(job.obj)))
    density = PROTOCOL.density if job.density is None else job.density
    body = rigid_body(obj, obj.parts or (), job.mass, density)
    poses, kinds = _drawn(obj, settings)
    grasps = Grasps(
        poses=poses,
        gripper=settings.gripper.name,
        object_file=obj.file,
        object_scale=obj.scale,
        success=np.zeros(len(poses), bool),
        mass=body.mass,
        friction=job.friction,
        center_of_mass=body.centre,
        object_sha256=obj.sha256,
        sampler={
            **job.conditions(),
            "kinds": kinds.tolist(),
            "made_with": {
                "pcdiff-grasp": version(),
                **{name: importlib.metadata.version(name) for name in PACKAGES},
            },
        },
        protocol=PROTOCOL.version,
        tool_center_point=settings.gripper.tool_center_point,
    )
    if not len(poses):
        reason = (
            f"no two opposite contacts within the {settings.gripper.stroke:g} m that "
            f"{settings.gripper.name} opens"
        )
        return dataclasses.replace(grasps, reason=reason)
    conditions = Conditions(mass=body.mass, friction=job.friction)
    trials = simulate(obj, settings.gripper, poses, conditions)
    return with_outcomes(grasps, trials)


def _drawn(obj: Object, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Poses, and the kind of each."""
    if settings.weights is None:
        drawn = candidates(
            obj,
            settings.gripper,
            settings.count,
            generator(settings.seed, STREAM, obj),
            near_misses=settings.near_misses,
        )
        return drawn.poses, drawn.kinds
    from grasp.objects.views import random_views
    from pcdiff.randomness import seeded

    seen = obj
    if settings.view:
        (seen,) = random_views(obj, 1, generator(settings.seed, VIEW_STREAM, obj))
    field = load_field(settings.weights).condition(seen, settings.gripper, settings.seed)
    stream = seeded(settings.seed, STREAM, int(obj.sha256[:8], 16))
    poses = field.draw(settings.count, stream, sampling(settings.view))
    return poses.numpy(), np.full(len(poses), SAMPLE)


def sampling(view: bool) -> Sampling:
    """How a field is sampled, of a view or of the whole of a mesh."""
    from grasp.field.sampling import OF_A_CLOUD, Sampling

    return OF_A_CLOUD if view else Sampling()


@functools.cache
def load_field(weights: str) -> GraspField:
    """The field of these weights, read once in each process."""
    import torch

    from grasp.field.model import GraspField

    torch.set_num_threads(1)  # each process has a core
    return GraspField.from_pretrained(weights)


@functools.cache
def digest(weights: str) -> str:
    """The SHA-256 of a file of weights, by which its samples are told from others."""
    from grasp.field.model import WEIGHTS
    from pcdiff.learning.checkpoint import find

    return hashlib.sha256(find(weights, WEIGHTS).read_bytes()).hexdigest()


def attempt(job: Job) -> Grasps | str:
    """The labels of an object, or the sentence that says why there are none."""
    try:
        return label(job)
    except InputError as error:
        return f"{job.name}: {error}"


Work = Callable[[Job], Grasps | str]
"""What is done with each object; `attempt`, but in tests."""
