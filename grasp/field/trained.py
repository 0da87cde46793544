"""The user's entry to grasp fields: load a trained field by name, and condition it on an object."""

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
"""Smallest and largest number of surface points for collisions and widths. A mesh gets as many as
`grasp.scenes.collision.DENSITY` asks for; a cloud uses all its points up to the largest number."""

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the weights in this package."""


def pretrained_names() -> list[str]:
    """List the names of the weights in this package."""
    return checkpoint.names_in(WEIGHTS)


class GraspField(FieldModel):
    """A grasp field: its networks, and methods to load them and to condition them on an object.

    Args:
        config: Configuration of the networks to build.
    """

    @classmethod
    def initialized(cls, config: FieldConfig, seed: int) -> GraspField:
        """Make an untrained field whose weights are a function of `seed`."""
        with initial_weights(seed):
            return cls(config)

    @classmethod
    def from_pretrained(cls, weights: str | os.PathLike[str] = "panda") -> GraspField:
        """Load a trained field, in evaluation mode and on the CPU.

        Args:
            weights: Name of weights in the package (see `pretrained_names`), or a file.

        Raises:
            InputError: If there are no such weights, or the file does not hold weights of a grasp
                field.
        """
        return checkpoint.load_model(
            weights, KIND, WEIGHTS, lambda description: cls(FieldConfig.from_dict(description))
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
            gripper: A `Gripper`, or the name of a shipped one.
            seed: Seed of the points that are drawn on the object's surface.
            mass: Mass of the object in kilograms. If None, a closed mesh is filled at 150 kg/m³ and
                the weight of a cloud is ignored. If a mass is given for a cloud, its centre is
                taken to be the centre of the cloud's surface.

        Raises:
            InputError: If there is no such gripper, the field was trained on another gripper of
                that name, the object has too few points, or the mass is not above 0.
        """
        if mass is not None and not 0 < mass < math.inf:
            raise InputError(f"the mass of an object must be above 0 kg and finite, got {mass}")
        hand = load_gripper(gripper) if isinstance(gripper, str) else gripper
        if self.config.grippers.get(hand.name, hand.sha256) != hand.sha256:
            raise InputError(
                f"the field was trained on another description of the gripper {hand.name}: give "
                "yours another name, or train a field with it"
            )
        rng = np.random.default_rng(seed)  # independent of the object, so moving it changes nothing
        surface = surface_of(obj, rng)
        count = len(obj.vertices)
        if obj.is_mesh:
            count = max(POINTS, round(DENSITY * obj.area))
        points = obj.surface(min(count, MOST_POINTS), rng)[0]
        condition = Condition(surface, probes(hand)).to(next(self.parameters()))
        return ConditionedField(self, condition, obj, hand, points, mass)
