"""Sample grasps of one object on request: load the weights, condition the field, and sample.

This is what `grasp sample` does. A notebook or a service can call it, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from grasp.costs import ApproachCone, Constraint, NearPoint
from grasp.field.sampling import CLOUD_SAMPLING, REFERENCE, Sampling, default_sampling
from grasp.field.selection import Selection, default_selection
from grasp.field.trained import GraspField
from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.objects.object import Object
from grasp.poses.distances import ROTATION, TRANSLATION
from grasp.scenes.scene import Scene
from pcdiff.diffusion.samplers import DDIM
from pcdiff.errors import InputError
from pcdiff.randomness import seeded

SamplerName = Literal["multistep", "ddim", "langevin"]

SOFT_METRES, SOFT_COSINE = 0.01, 0.1
"""Excess over a region in metres, and over a cone as a cosine, that costs half a nat."""


@dataclass(frozen=True)
class Request:
    """The grasps that are requested, and how to find them.

    Attributes:
        count: Largest number of grasps.
        weights: Name of weights in the package, or a file.
        gripper: Gripper: the name of a shipped one, a .toml file, or a `Gripper`.
        sampler: Name of the sampler; "langevin" is the reference, 48 levels from pure noise.
        from_noise: Whether to begin with pure noise instead of proposals, and to take 12 steps.
        steps: Number of sampling steps. This and the next three settings keep the default for the
            object (see `grasp.field.sampling` and `grasp.field.selection`) if they are None.
        temperature: Temperature of the field; see `Sampling`.
        oversampling: Samples drawn per requested grasp; see `Selection`.
        least_probability: Smallest probability of success of a returned grasp.
        thin: Whether to return only the best of the grasps that are within 1 cm and 15 degrees of
            each other.
        region: Centre (x, y, z) and radius of a ball that must contain the tool centre point, in
            metres in the frame of the object's file; None for no such ball.
        approach: Direction (x, y, z) and half-angle in degrees of a cone that must contain the
            approach direction; None for no such cone.
        scene: Surroundings of the object.
        mass: Mass of the object in kilograms; see `GraspField.condition`.
        seed: Seed of everything random.
        device: Device to compute on.
    """

    count: int = 200
    weights: str = "panda"
    gripper: str | Gripper = "panda"
    sampler: SamplerName = "multistep"
    from_noise: bool = False
    steps: int | None = None
    temperature: float | None = None
    oversampling: float | None = None
    least_probability: float | None = None
    thin: bool = False
    region: tuple[float, float, float, float] | None = None
    approach: tuple[float, float, float, float] | None = None
    scene: Scene | None = None
    mass: float | None = None
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.sampler not in get_args(SamplerName):
            raise InputError(
                f"the sampler must be one of {', '.join(get_args(SamplerName))}, "
                f"got {self.sampler!r}"
            )

    def sampling(self, is_mesh: bool) -> Sampling:
        """Return the settings of the sampler for a mesh, or for a cloud.

        Raises:
            InputError: If a setting is out of its range.
        """
        sampling = default_sampling(is_mesh)
        if self.sampler == "langevin":
            sampling = replace(
                sampling, begin=REFERENCE.begin, steps=REFERENCE.steps, sampler=REFERENCE.sampler
            )
        elif self.sampler == "ddim":
            sampling = replace(sampling, sampler=DDIM())
        if self.from_noise and self.sampler != "langevin":
            sampling = replace(sampling, begin=CLOUD_SAMPLING.begin, steps=CLOUD_SAMPLING.steps)
        return _changed(sampling, steps=self.steps, temperature=self.temperature)

    def selection(self, is_mesh: bool) -> Selection:
        """Return the settings for choosing grasps of a mesh, or of a cloud.

        Raises:
            InputError: If a setting is out of its range.
        """
        return _changed(
            default_selection(is_mesh),
            oversampling=self.oversampling,
            least_probability=self.least_probability,
            apart=(TRANSLATION, ROTATION) if self.thin else None,
        )

    def constraints(self, gripper: Gripper) -> list[Constraint]:
        """Return the constraints that grasps must satisfy.

        Args:
            gripper: The gripper, which gives the tool centre point.

        Raises:
            InputError: If the half-angle of the cone is not between 0 and 180 degrees, or in the
                cases listed for the constraints of `grasp.costs`.
        """
        found: list[Constraint] = []
        if self.region is not None:
            *point, radius = self.region
            found.append(NearPoint(np.array(point), radius, gripper, sigma=SOFT_METRES))
        if self.approach is not None:
            *direction, degrees = self.approach
            if not 0 <= degrees <= 180:
                raise InputError(
                    f"a cone of approach has a half-angle of 0 to 180 degrees, got {degrees:g}",
                    parameter="approach",
                )
            angle = math.radians(degrees)
            found.append(ApproachCone(np.array(direction), angle, sigma=SOFT_COSINE))
        return found


def sample_grasps(obj: Object, request: Request) -> Grasps:
    """Sample grasps of an object; the result also records how they were made.

    Args:
        obj: The object; see `grasp.load_object`.
        request: Description of the requested grasps.

    Raises:
        InputError: If a condition listed for `GraspField.from_pretrained`, `GraspField.condition`
            or `ConditionedField.sample` is met.
    """
    gripper = request.gripper
    hand = load_gripper(gripper) if isinstance(gripper, str) else gripper
    sampling, selection = request.sampling(obj.is_mesh), request.selection(obj.is_mesh)
    field = GraspField.from_pretrained(request.weights).to(request.device)
    grasps = field.condition(obj, hand, request.seed, request.mass).sample(
        request.count,
        seeded(request.seed),
        sampling,
        selection,
        request.constraints(hand),
        request.scene,
    )
    record: dict[str, Any] = {
        "weights": request.weights,
        "seed": request.seed,
        **sampling.as_dict(),
        **selection.as_dict(),
        "region": _as_list(request.region),
        "approach": _as_list(request.approach),
        "mass": request.mass,
    }
    return replace(grasps, sampler=record)


def _changed(record: Any, **given: Any) -> Any:
    """Copy a dataclass with changed fields; a field whose new value is None keeps its old value."""
    return replace(record, **{name: value for name, value in given.items() if value is not None})


def _as_list(numbers: Sequence[float] | None) -> list[float] | None:
    return None if numbers is None else list(numbers)
