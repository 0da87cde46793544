"""Digests of what labels depend on besides poses, conditions and protocol."""

from __future__ import annotations

from typing import Any

from grasp.digest import digest
from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics.decomposition import SETTINGS


def label_digests(obj: Object, gripper: Gripper) -> dict[str, Any]:
    """Digests of the gripper's description and of the object's convex parts, to store with labels.

    Two grippers can have the same name, and the digest of an object covers its surface but not the
    convex parts that the gripper touches.

    Args:
        obj: Object to grasp, a mesh.
        gripper: Gripper of the trials.

    Returns:
        A dictionary for JSON with `gripper_sha256` and `parts`: the digest of the exact convex
        parts, or the settings of coacd for an object that has none.
    """
    return {
        "gripper_sha256": gripper.sha256,
        "parts": {"coacd": SETTINGS} if obj.parts is None else {"sha256": digest(obj.parts)},
    }
