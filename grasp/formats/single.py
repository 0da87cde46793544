"""The class `Grasp`: one of several grasps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Grasp:
    """One grasp of an object, for example `grasps[0]`. Unknown properties are None.

    Attributes:
        pose: `T_object_grasp`, the pose of the gripper's base (+z approach, +x closing) in the
            frame of the object's mesh file, translation in metres.
        gripper: Name of the gripper.
        energy: Energy of the grasp field up to a constant, dimensionless; lower is better.
        success_probability: Predicted probability of success.
        success: True if the grasp succeeded in physics.
        width: Opening between the pads in metres; see `Grasps`.
        in_collision: True if the open gripper touches the object.
        failure: Short code for the reason why the grasp failed in physics; "" for a success.
    """

    pose: Float[np.ndarray, "4 4"]
    gripper: str | None = None
    energy: float | None = None
    success_probability: float | None = None
    success: bool | None = None
    width: float | None = None
    in_collision: bool | None = None
    failure: str | None = None

    def __repr__(self) -> str:
        words = [f"at {', '.join(f'{metres:.3f}' for metres in self.pose[:3, 3])} m"]
        if self.gripper is not None:
            words[0] = f"{self.gripper} {words[0]}"
        if self.success_probability is not None:
            words.append(f"probability {self.success_probability:.2f}")
        if self.success is not None:
            words.append("holds" if self.success else f"fails: {self.failure or 'unknown reason'}")
        if self.width is not None:
            words.append(f"opening {1000 * self.width:.0f} mm")
        if self.in_collision:
            words.append("in collision")
        return f"Grasp({'; '.join(words)})"
