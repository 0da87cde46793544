"""Label one object; this is the work that one process does, on this machine or on another."""

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
from grasp.judging.labels import with_outcomes
from grasp.judging.streams import object_generator
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, convex_parts, label_digests, simulate
from grasp.physics.body import rigid_body
from pcdiff.console import version
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.field.sampling import Sampling
    from grasp.field.trained import GraspField

STREAM = 101
"""Random stream of the candidates; the judge uses lower numbers, see `grasp.judging.streams`."""

VIEW_STREAM = 103
"""Random stream of the views; it differs from the stream of the data card's bootstrap."""

NEAR_MISSES = 0.25
"""Default share of near misses among the candidates."""

SAMPLE = "sample"
"""The kind that marks a grasp as sampled from a grasp field."""

PACKAGES = ("mujoco", "coacd", "numpy")
"""Packages that influence the labels; each file states the versions that it was made with."""


@dataclass(frozen=True, eq=False)
class Settings:
    """The settings that all objects of a set share.

    Attributes:
        gripper: Gripper whose grasps are labelled.
        count: Number of candidates per object, at least 1.
        near_misses: Share of near misses among the candidates, 0 to 1.
        seed: Seed of the candidates, at least 0; the candidates of an object depend on it and on
            the object's geometry.
        weights: Weights of a `GraspField` whose samples are labelled instead of candidates: a name
            or a file. None labels candidates.
        view: Whether the field sees only one side of each object, as in
            `grasp.judging.sources.field_source`, instead of the whole object. The view depends on
            the seed and on the object's geometry.

    Raises:
        InputError: If a number is out of its range, or `view` is set without weights.
    """

    gripper: Gripper
    count: int = 500
    near_misses: float = NEAR_MISSES
    seed: int = 0
    weights: str | None = None
    view: bool = False

    def __post_init__(self) -> None:
        if self.view and self.weights is None:
            raise InputError("labels of a view need the weights of a grasp field, got none")
        if self.weights is not None and self.near_misses:
            raise InputError(
                "the samples of a grasp field have no near misses, expected a share of 0 but got "
                f"{self.near_misses}"
            )
        if self.count < 1 or self.seed < 0:
            raise InputError(
                "labels need at least 1 candidate per object and a seed of 0 or more, got "
                f"{self.count} and {self.seed}"
            )
        if not 0 <= self.near_misses <= 1:
            raise InputError(
                f"the share of near misses must be between 0 and 1, got {self.near_misses}"
            )


@dataclass(frozen=True, eq=False)
class Job:
    """One object to label. A job is pure data, so any machine can do it.

    Attributes:
        name: Name of the object, unique in its set.
        obj: Mesh of the object; the labels will name its `file`.
        mass: Mass of the object in kilograms. If None, it is computed from the volume and
            `density`.
        density: Density of the object in kg/m³, used if there is no mass.
        friction: Coefficient of friction between object and pads.
        settings: Settings that all objects share.
    """

    name: str
    obj: Object
    mass: float | None
    density: float | None
    friction: float
    settings: Settings

    @property
    def source(self) -> dict[str, Any]:
        """Where the grasps come from, as a dictionary for JSON."""
        if self.settings.weights is None:
            return {"name": "antipodal candidates", "cone_friction": FRICTION}
        known = {
            "weights": digest(self.settings.weights),
            "sampling": sampling(self.settings.view).as_dict(),
        }
        if self.settings.view:
            # The name differs as well, so that the two kinds of samples cannot be confused.
            return {"name": "samples of a field from one view", "view": True, **known}
        return {"name": "samples of a field", **known}

    def conditions(self) -> dict[str, Any]:
        """Conditions that determine the labels, except protocol and geometry, as a JSON object.

        Equal conditions give equal labels.
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
    """Draw candidates for an object, or samples of a grasp field, and simulate each of them.

    Physics uses the whole object, even if the field saw only one side of it.

    Args:
        job: Object to label.

    Returns:
        All candidates with their outcomes, in the order in which they were drawn. Their `sampler`
        holds the conditions, the kind of each candidate under `kinds`
        (`grasp.judging.candidates.KINDS`), and the versions of the packages under `made_with`. If
        no two opposite contacts of the object fit into the stroke, the result has no grasps and its
        `reason` says so.

    Raises:
        InputError: If the object cannot be simulated because it is a point cloud, has no volume, or
            coacd finds no parts; or too few of its points are in view.
    """
    settings = job.settings
    # Decompose the object once and keep the parts, so that the simulation does not do it again.
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
    """Draw the poses of the grasps to label; also return the kind of each."""
    if settings.weights is None:
        drawn = candidates(
            obj,
            settings.gripper,
            settings.count,
            object_generator(settings.seed, STREAM, obj),
            near_misses=settings.near_misses,
        )
        return drawn.poses, drawn.kinds
    from grasp.objects.views import random_views
    from pcdiff.randomness import seeded

    seen = obj
    if settings.view:
        (seen,) = random_views(obj, 1, object_generator(settings.seed, VIEW_STREAM, obj))
    field = load_field(settings.weights).condition(seen, settings.gripper, settings.seed)
    stream = seeded(settings.seed, STREAM, int(obj.sha256[:8], 16))
    poses = field.draw(settings.count, stream, sampling(settings.view))
    return poses.numpy(), np.full(len(poses), SAMPLE)


def sampling(view: bool) -> Sampling:
    """Return the settings for sampling a field.

    Args:
        view: Whether the field sees only one side of each object instead of the whole mesh.
    """
    from grasp.field.sampling import CLOUD_SAMPLING, Sampling

    return CLOUD_SAMPLING if view else Sampling()


@functools.cache
def load_field(weights: str) -> GraspField:
    """Load the grasp field with these weights; each process reads it only once.

    Args:
        weights: Name or file of the weights.
    """
    import torch

    from grasp.field.trained import GraspField

    torch.set_num_threads(1)  # there is one process per core
    return GraspField.from_pretrained(weights)


@functools.cache
def digest(weights: str) -> str:
    """Return the SHA-256 of a file of weights, which identifies the field that drew the samples.

    Args:
        weights: Name or file of the weights.
    """
    from grasp.field.trained import WEIGHTS
    from pcdiff.learning.checkpoint import find

    return hashlib.sha256(find(weights, WEIGHTS).read_bytes()).hexdigest()


def attempt(job: Job) -> Grasps | str:
    """Label an object; if that is impossible, return one sentence that says why.

    Args:
        job: Object to label.
    """
    try:
        return label(job)
    except InputError as error:
        return f"{job.name}: {error}"


Work = Callable[[Job], Grasps | str]
"""Function that labels one object: `attempt`, or a substitute in tests."""
