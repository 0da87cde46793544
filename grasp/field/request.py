"""Sampling of grasps of one object by a single call.

`sample_grasps` loads the weights, conditions the grasp field, and samples grasps. The command
`grasp sample` calls this function; notebooks and services can call it, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from grasp.costs import ApproachCone, AwayFromPoint, Constraint, NearPoint
from grasp.field.sampling import CLOUD_SAMPLING, REFERENCE, Sampling, default_sampling
from grasp.field.selection import Selection, default_selection
from grasp.field.trained import GraspField
from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.objects.object import Object
from grasp.poses.distances import ROTATION, TRANSLATION
from grasp.scenes.scene import Scene
from pcdiff.bounds import check_whole
from pcdiff.diffusion.samplers import DDIM
from pcdiff.errors import InputError
from pcdiff.randomness import seeded

SamplerName = Literal["multistep", "ddim", "langevin"]

SOFT_METRES, SOFT_COSINE, SOFT_DEPTH = 0.01, 0.1, 0.003
"""Violations of constraints that cost half a nat: a distance of 0.01 m to the region, a difference
of 0.1 between the cosine of the approach cone's half-angle and the cosine of the angle to the
cone's axis, and a depth of 0.003 m inside an avoided ball, whose largest depth is half its
radius."""

Ball = tuple[float, float, float, float]
"""Centre (x, y, z) and radius of a ball, in metres in the frame of the object's file."""


MOST_GRASPS = 10**6
"""Largest accepted number of requested grasps."""


@dataclass(frozen=True)
class Request:
    """A request for grasps, with the settings of the sampling.

    None for `steps`, `temperature`, `oversampling` or `least_probability` selects the default for
    the object; see `grasp.field.sampling` and `grasp.field.selection`.

    Attributes:
        count: Largest number of grasps.
        weights: Name of weights in the package, or the path of a file of weights.
        gripper: Name of a shipped gripper, the path of a .toml file, or a `Gripper`.
        sampler: Name of the sampler. "langevin" selects the reference sampler, which takes 48 steps
            from pure noise.
        from_noise: Whether to begin with pure noise instead of proposals, and to take 12 steps. It
            changes nothing for "langevin", which always begins with noise.
        steps: Number of sampling steps.
        temperature: Temperature of the field; see `Sampling`.
        oversampling: Number of samples drawn per requested grasp; see `Selection`.
        least_probability: Smallest probability of success of a returned grasp.
        thin: If true, only the best of several grasps within 1 cm and 15 degrees of each other is
            returned.
        region: Centre (x, y, z) and radius of a ball that must contain the tool centre point, in
            metres in the frame of the object's file; None for no restriction.
        approach: Direction (x, y, z) in the frame of the object's file and half-angle in degrees of
            a cone that must contain the approach direction; None for no restriction.
        avoid: Centre (x, y, z) and radius of each ball that must not contain the tool centre point,
            in metres in the frame of the object's file.
        scene: Surroundings of the object; None for no surroundings.
        mass: Mass of the object in kilograms; None if unknown (see `GraspField.condition`).
        seed: Seed of all random draws.
        device: Name of the torch device.

    Raises:
        InputError: If the name of the sampler is unknown.
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
    region: Ball | None = None
    approach: tuple[float, float, float, float] | None = None
    avoid: Sequence[Ball] = ()
    scene: Scene | None = None
    mass: float | None = None
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_whole("count", self.count, 1, MOST_GRASPS)
        if self.sampler not in get_args(SamplerName):
            raise InputError(
                f"the sampler must be {' or '.join(get_args(SamplerName))}, got {self.sampler!r}"
            )

    def sampling(self, is_mesh: bool) -> Sampling:
        """Return the settings of the sampler.

        Args:
            is_mesh: True for a mesh, false for a point cloud.

        Raises:
            InputError: If a setting is out of range.
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
        """Return the settings for choosing grasps from samples.

        Args:
            is_mesh: True for a mesh, false for a point cloud.

        Raises:
            InputError: If a setting is out of range.
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
            gripper: Gripper, of which only the tool centre point is used.

        Raises:
            InputError: If the half-angle of the cone is not from 0 to 180 degrees, or for the
                reasons listed under `NearPoint`, `AwayFromPoint` and `ApproachCone`.
        """
        found: list[Constraint] = []
        if self.region is not None:
            *point, radius = self.region
            found.append(NearPoint(np.array(point), radius, gripper, sigma=SOFT_METRES))
        for *point, radius in self.avoid:
            found.append(AwayFromPoint(np.array(point), radius, gripper, sigma=SOFT_DEPTH))
        if self.approach is not None:
            *direction, degrees = self.approach
            if not 0 <= degrees <= 180:
                raise InputError(
                    "the half-angle of the approach cone must be from 0 to 180 degrees, got "
                    f"{degrees:g}",
                    parameter="approach",
                )
            angle = math.radians(degrees)
            found.append(ApproachCone(np.array(direction), angle, sigma=SOFT_COSINE))
        return found


def sample_grasps(
    obj: Object, request: Request, progress: Callable[[int, int], None] | None = None
) -> Grasps:
    """Sample grasps of an object.

    The returned grasps also record the settings of the request.

    Args:
        obj: The object; see `grasp.load_object`.
        request: Description of the requested grasps.
        progress: Function that is called with the work done and the expected work; see
            `grasp.field.search.Step`.

    Raises:
        InputError: If a setting is out of range, or for the reasons listed under
            `Request.constraints`, `GraspField.from_pretrained`, `GraspField.condition` and
            `ConditionedField.sample`.
    """
    gripper = request.gripper
    hand = load_gripper(gripper) if isinstance(gripper, str) else gripper
    sampling, selection = request.sampling(obj.is_mesh), request.selection(obj.is_mesh)
    field = GraspField.from_pretrained(request.weights).to(request.device)
    for step in field.condition(obj, hand, request.seed, request.mass).search(
        request.count,
        seeded(request.seed),
        sampling,
        selection,
        request.constraints(hand),
        request.scene,
    ):
        if progress is not None:
            progress(step.done, step.total)
    grasps = step.grasps
    assert grasps is not None
    record: dict[str, Any] = {
        "weights": request.weights,
        "seed": request.seed,
        **sampling.as_dict(),
        **selection.as_dict(),
        "region": _as_list(request.region),
        "approach": _as_list(request.approach),
        "avoid": [list(ball) for ball in request.avoid],
        "mass": request.mass,
        "probability_protocol": field.config.protocol,
    }
    return replace(grasps, sampler=record)


def _changed(record: Any, **given: Any) -> Any:
    """Copy a dataclass with new values of some fields; None leaves a field unchanged."""
    return replace(record, **{name: value for name, value in given.items() if value is not None})


def _as_list(numbers: Sequence[float] | None) -> list[float] | None:
    return None if numbers is None else list(numbers)
