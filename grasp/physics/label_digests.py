"""Digests of the gripper and the convex parts, on which the labels of grasps depend."""

from __future__ import annotations

from typing import Any

from grasp.digest import digest
from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics.decomposition import SETTINGS


def label_digests(obj: Object, gripper: Gripper) -> dict[str, Any]:
    """Compute digests of the gripper and of the object's convex parts, to store with labels.

    The digest of the gripper is necessary because two grippers can have the same name. The digest
    of the convex parts is necessary because the digest of an object covers only its surface.

    Args:
        obj: Object to grasp, a mesh.
        gripper: Gripper of the trials.

    Returns:
        A dictionary that can be written as JSON. `gripper_sha256` is the digest of the gripper's
        description. `parts` is the digest of the exact convex parts or, for an object without them,
        the settings of its convex cover.
    """
    return {
        "gripper_sha256": gripper.sha256,
        "parts": {"cover": SETTINGS} if obj.parts is None else {"sha256": digest(obj.parts)},
    }
