"""What physics depends on beside poses and protocol: digests by which labels are told apart."""

from __future__ import annotations

from typing import Any

from grasp.digest import digest
from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics.decomposition import SETTINGS


def conditions(obj: Object, gripper: Gripper) -> dict[str, Any]:
    """The hand's shape and the object's convex parts, as JSON can hold them.

    A gripper's name tells nothing of its shape, and the digest of an object is of its surface, not
    of the parts that the hand touches.

    Args:
        obj: A mesh.
        gripper: The hand.

    Returns:
        `gripper_sha256`, and under `parts` the digest of the object's exact parts, or else the
        settings with which coacd finds some.
    """
    return {
        "gripper_sha256": gripper.sha256,
        "parts": {"coacd": SETTINGS} if obj.parts is None else {"sha256": digest(obj.parts)},
    }
