"""Trained grasp fields, which are loaded by name and conditioned on an object and a gripper."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import torch

from grasp.field.conditioned import ConditionedField
from grasp.field.configuration import FieldConfig
from grasp.field.model import KIND, Condition, FieldModel
from grasp.field.networks.probes import probes
from grasp.field.surfaces import surface_of
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.objects.object import Object
from grasp.scenes.collision import DENSITY
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.randomness import initial_weights

POINTS, MOST_POINTS = 4096, 200_000
"""Smallest and largest number of surface points from which collisions and widths are computed. For
a mesh, the number is the surface area times `grasp.scenes.collision.DENSITY`, within both limits.
For a cloud, all points are used, but at most the largest number."""

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the weights that are shipped in this package."""


NEWEST = {"panda": "panda-0.2"}
"""The weights that a name without a version stands for."""


def pretrained_names() -> list[str]:
    """Return the names of the weights that are shipped in this package."""
    return [*NEWEST, *checkpoint.names_in(WEIGHTS)]


def weights_file(weights: str | os.PathLike[str]) -> Path:
    """Return the path of a file of weights.

    Args:
        weights: Name of weights in the package (see `pretrained_names`), or the path of a file. A
            name without a version stands for the newest version.

    Raises:
        InputError: If `weights` is neither a known name nor a file.
    """
    if not Path(weights).exists():
        weights = NEWEST.get(os.fspath(weights), weights)
    return checkpoint.find(weights, WEIGHTS)


class GraspField(FieldModel):
    """The networks of a grasp field, which can be loaded and conditioned on an object.

    Args:
        config: Configuration of the networks to build.
    """

    @classmethod
    def initialized(cls, config: FieldConfig, seed: int) -> GraspField:
        """Return an untrained field with random weights, which depend only on the seed."""
        with initial_weights(seed):
            return cls(config)

    @classmethod
    def from_pretrained(cls, weights: str | os.PathLike[str] = "panda") -> GraspField:
        """Load a trained field in evaluation mode on the CPU.

        Args:
            weights: Name of weights in the package, or the path of a file; see `weights_file`.

        Raises:
            InputError: If `weights` is neither a known name nor a file, or the file does not
                contain weights of a grasp field.
        """
        return checkpoint.load_model(
            weights_file(weights),
            KIND,
            WEIGHTS,
            lambda description: cls(FieldConfig.from_dict(description)),
        )

    @torch.inference_mode(False)  # tensors made in inference mode would allow no gradient later
    def condition(
        self,
        obj: Object,
        gripper: Gripper | str = "panda",
        seed: int = 0,
        mass: float | None = None,
    ) -> ConditionedField:
        """Condition the field on one object and one gripper.

        Args:
            obj: A mesh or a cloud; see `grasp.load_object`.
            gripper: A `Gripper`, the name of a shipped gripper, or the path of a .toml file.
            seed: Seed for drawing points on the object's surface.
            mass: Mass of the object in kilograms. With None, a closed mesh has the density
                300 kg/m³ (150 kg/m³ for weights of version 0.1.0), and the weight of a cloud is
                ignored. With a mass, the centre of mass of a cloud is assumed at the centre of the
                cloud's surface.

        Raises:
            InputError: If the gripper is unknown or unsuitable (see
                `grasp.field.networks.probes.probes`), the field was trained on another description
                of a gripper with this name, the object has too few points, or the mass is not above
                0 and finite.
        """
        if mass is not None and not 0 < mass < math.inf:
            raise InputError(f"the mass of an object must be above 0 kg and finite, got {mass}")
        hand = load_gripper(gripper) if isinstance(gripper, str) else gripper
        if self.config.grippers.get(hand.name, hand.sha256) != hand.sha256:
            raise InputError(
                f"the field was trained on another description of the gripper {hand.name}: give "
                "your gripper another name, or train a field with your gripper"
            )
        rng = np.random.default_rng(seed)  # a moved object gets the same draws
        surface = surface_of(obj, rng)
        count = len(obj.vertices)
        if obj.is_mesh:
            count = max(POINTS, round(DENSITY * obj.area))
        points = obj.surface(min(count, MOST_POINTS), rng)[0]
        condition = Condition(surface, probes(hand)).to(next(self.parameters()))
        return ConditionedField(self, condition, obj, hand, points, mass)
