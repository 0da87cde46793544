"""Label one object. One process does this work, on this machine or on another machine."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.candidates import candidates, check_misses
from grasp.judging.contacts import FRICTION
from grasp.judging.labels import with_outcomes
from grasp.judging.streams import object_generator
from grasp.objects.object import Object
from grasp.physics import (
    PROTOCOL,
    Conditions,
    convex_parts,
    label_digests,
    load_uncertainty,
    protocol_named,
    simulate,
    simulate_drawn,
)
from grasp.physics.body import rigid_body
from pcdiff.console import version
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.field.sampling import Sampling
    from grasp.field.trained import GraspField

STREAM = 101
"""Number of the random stream of the candidates; `grasp.judging.streams` uses lower numbers."""

VIEW_STREAM = 103
"""Number of the random stream of the views; the data card's bootstrap has the number 102."""

DRAW_STREAM = 104
"""Number of the random stream of the unknown factors of trials."""

NEAR_MISSES = 0.25
"""Default share of near misses among the candidates."""

SAMPLE, NOISY_SAMPLE = "sample", "noisy sample"
"""The kinds of grasps that were sampled from a grasp field, without and with noise added."""

_NOISY = 0.5  # share of the samples that are moved, if samples are moved at all

PACKAGES = ("mujoco", "scipy", "numpy")
"""Packages that influence the labels; every label file states the versions of these packages."""


@dataclass(frozen=True, eq=False)
class Settings:
    """The settings that all objects of a set share.

    Attributes:
        gripper: Gripper whose grasps are labelled.
        count: Number of candidates per object, at least 1.
        near_misses: Share of near misses among the candidates, 0 to 1.
        seed: Seed of the candidates, at least 0; the candidates of an object depend on the seed and
            on the object's geometry.
        weights: Name or file of the weights of a `GraspField` whose samples are labelled; if None,
            antipodal candidates are labelled.
        view: Whether the field sees only one side of each object, as in
            `grasp.judging.sources.field_source`, instead of the whole object. The view depends on
            the seed and on the object's geometry.
        protocol: Version of the physics protocol; see `grasp.physics.PROTOCOLS`.
        far_misses: Share of far misses among the candidates, 0 to 1.
        uncertain: Whether each grasp is tried under its own draw of the unknown factors
            (`grasp.physics.simulate_drawn`), instead of the friction in the catalogue and the other
            settings of the protocol.
        noise: Largest noise level σ of samples, which moves a pose by σℓ metres and σ radians. Half
            of the samples are moved, each by noise of a level that is drawn uniformly.

    Raises:
        InputError: If a number is out of its range, `view` is set without weights, or a share of
            misses is not 0 with weights.
    """

    gripper: Gripper
    count: int = 500
    near_misses: float = NEAR_MISSES
    seed: int = 0
    weights: str | None = None
    view: bool = False
    protocol: str = PROTOCOL.version
    far_misses: float = 0.0
    uncertain: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        protocol_named(self.protocol)
        if self.view and self.weights is None:
            raise InputError(
                "only a grasp field samples from one view: name the weights of a field"
            )
        if self.weights is not None and (self.near_misses or self.far_misses):
            raise InputError(
                "the shares of near and far misses must be 0 for samples of a grasp field, got "
                f"{self.near_misses} and {self.far_misses}"
            )
        if not 0 <= self.noise < math.inf or (self.noise and self.weights is None):
            raise InputError(
                "the noise level of samples must be at least 0 and finite, and 0 without weights "
                f"of a field, got {self.noise}"
            )
        if self.count < 1 or self.seed < 0:
            raise InputError(
                "labels need at least 1 candidate per object and a seed of at least 0, got "
                f"{self.count} candidates and the seed {self.seed}"
            )
        check_misses(self.near_misses, self.far_misses)


@dataclass(frozen=True, eq=False)
class Job:
    """One object to label, with all data that a process on any machine needs.

    Attributes:
        name: Name of the object, unique in its set.
        obj: Mesh of the object; the labels state the mesh file `obj.file`.
        mass: Mass of the object in kilograms; None computes the mass from volume and density.
        density: Density of the object in kg/m³ if `mass` is None; None uses the protocol's density.
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
        """The source of the grasps as a dictionary for JSON."""
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
        """Return the conditions of the labels, without protocol and geometry, as a JSON object.

        With the same protocol and geometry, equal conditions give equal labels.
        """
        settings = self.settings
        # Labels of version 0.1.0 do not state these settings, which they did not have.
        later: dict[str, Any] = {}
        if settings.far_misses:
            later["far_misses"] = settings.far_misses
        if settings.uncertain:
            later["uncertainty"] = load_uncertainty().version
        if settings.noise:
            later["noise"] = settings.noise
        return {
            **self.source,
            **later,
            "count": settings.count,
            "near_misses": settings.near_misses,
            "seed": settings.seed,
            "stream": STREAM,
            **label_digests(self.obj, settings.gripper),
            "mass": self.mass,
            "density": self.density,
            "friction": None if settings.uncertain else self.friction,
        }


def label(job: Job) -> Grasps:
    """Draw candidates for an object, or samples of a grasp field, and simulate every grasp.

    Physics uses the whole object, even if the field saw only one side of it.

    Args:
        job: Object to label.

    Returns:
        All candidates with their outcomes, in the order of the draws. The field `sampler` contains
        the conditions, the kind of each candidate as `kinds` (`grasp.judging.candidates.KINDS`),
        and the versions of the packages as `made_with`. If the stroke is too short for every pair
        of opposite contacts, the result has no grasps and its `reason` describes the problem.

    Raises:
        InputError: If the object is a point cloud or has no volume, or too few points of the
            object are in view.
    """
    settings = job.settings
    # Store the convex parts, so that the simulation does not decompose the object again.
    obj = dataclasses.replace(job.obj, parts=tuple(convex_parts(job.obj)))
    protocol = protocol_named(settings.protocol)
    density = protocol.density if job.density is None else job.density
    body = rigid_body(obj, obj.parts or (), job.mass, density)
    poses, kinds = _drawn(obj, settings)
    grasps = Grasps(
        poses=poses,
        gripper=settings.gripper.name,
        object_file=obj.file,
        object_scale=obj.scale,
        success=np.zeros(len(poses), bool),
        mass=body.mass,
        friction=None if settings.uncertain else job.friction,
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
        protocol=protocol.version,
        tool_center_point=settings.gripper.tool_center_point,
    )
    if not len(poses):
        reason = (
            f"no two opposite contacts within the {settings.gripper.stroke:g} m that "
            f"{settings.gripper.name} opens"
        )
        return dataclasses.replace(grasps, reason=reason)
    if settings.uncertain:
        seed = int(object_generator(settings.seed, DRAW_STREAM, obj).integers(2**62))
        trials = simulate_drawn(
            obj, settings.gripper, poses, seed, Conditions(mass=body.mass), protocol=protocol
        )
    else:
        conditions = Conditions(mass=body.mass, friction=job.friction)
        trials = simulate(obj, settings.gripper, poses, conditions, protocol=protocol)
    return with_outcomes(grasps, trials)


def _drawn(obj: Object, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Draw the poses of the grasps to label, and return the poses and the kind of each grasp."""
    if settings.weights is None:
        drawn = candidates(
            obj,
            settings.gripper,
            settings.count,
            object_generator(settings.seed, STREAM, obj),
            near_misses=settings.near_misses,
            far_misses=settings.far_misses,
        )
        return drawn.poses, drawn.kinds
    import torch

    from grasp.objects.views import random_views
    from pcdiff.diffusion.process import perturb
    from pcdiff.diffusion.schedules import Level
    from pcdiff.randomness import seeded

    seen = obj
    if settings.view:
        (seen,) = random_views(obj, 1, object_generator(settings.seed, VIEW_STREAM, obj))
    field = load_field(settings.weights).condition(seen, settings.gripper, settings.seed)
    stream = seeded(settings.seed, STREAM, int(obj.sha256[:8], 16))
    poses = field.draw(settings.count, stream, sampling(settings.view))
    if not settings.noise:
        return poses.numpy(), np.full(len(poses), SAMPLE)
    noisy = torch.rand(len(poses), generator=stream) < _NOISY
    sigma = settings.noise * torch.rand(len(poses), generator=stream).double()
    moved = perturb(field.model.space, poses, Level(torch.ones_like(sigma), sigma), stream)
    return (
        torch.where(noisy[:, None, None], moved, poses).numpy(),
        np.where(noisy.numpy(), NOISY_SAMPLE, SAMPLE),
    )


def sampling(view: bool) -> Sampling:
    """Return the settings for sampling a field.

    Args:
        view: Whether the field sees only one side of each object instead of the whole mesh.
    """
    from grasp.field.sampling import CLOUD_SAMPLING, Sampling

    return CLOUD_SAMPLING if view else Sampling()


@functools.cache
def load_field(weights: str) -> GraspField:
    """Load the grasp field with these weights; a process reads the weights only once.

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
    from grasp.field.trained import weights_file

    return hashlib.sha256(weights_file(weights).read_bytes()).hexdigest()


def attempt(job: Job) -> Grasps | str:
    """Label an object, or return one sentence about the error if the object cannot be labelled.

    Args:
        job: Object to label.
    """
    try:
        return label(job)
    except InputError as error:
        return f"{job.name}: {error}"


Work = Callable[[Job], Grasps | str]
"""Function that labels one object: `attempt`, or a substitute in tests."""
