"""Pictures of objects with grippers at them, by ray casting; no display, no GPU."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.grippers.gripper import Box, Gripper, box_mesh
from grasp.objects.object import Object
from pcdiff.drawing.camera import frame
from pcdiff.drawing.parts import Colour, Image, Mesh, Part, Spheres, Vector
from pcdiff.drawing.rendering import render

SUCCESS: Vector = (0.0, 0.62, 0.42)
FAILURE: Vector = (0.84, 0.30, 0.10)
"""Green and red that colour-blind readers tell apart, too."""

UNKNOWN: Vector = (0.45, 0.45, 0.48)
"""Of grasps of which nothing is known."""

OBJECT: Vector = (0.78, 0.74, 0.66)

ABOVE: Vector = (-0.8, -1.0, 0.7)
"""From a z-up object towards the camera: from its front, a little aside and above."""

_BAR = 0.0018  # half the thickness of a fork's bars, metres
_MOST_HANDS = 3  # that are drawn whole unless asked otherwise


def outcome_colours(success: Bool[np.ndarray, " grasps"]) -> Float[np.ndarray, "grasps 3"]:
    """Green for each grasp that holds and red for each that does not."""
    return np.where(success[:, None], SUCCESS, FAILURE)


def probability_colours(
    probability: Float[np.ndarray, " grasps"],
) -> Float[np.ndarray, "grasps 3"]:
    """From red at 0 to green at 1."""
    share = probability[:, None]
    return share * np.array(SUCCESS) + (1 - share) * np.array(FAILURE)


def draw_grasps(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    *,
    colours: Float[np.ndarray, "grasps 3"] | None = None,
    opening: Float[np.ndarray, " grasps"] | None = None,
    style: Literal["hand", "fork"] | None = None,
    direction: Vector = ABOVE,
    up: Vector = (0.0, 0.0, 1.0),
    width: int = 900,
    height: int = 700,
    samples: int = 4,
) -> Image:
    """Draw an object with a gripper at each pose.

    Args:
        obj: the object, a mesh or a cloud.
        gripper: the gripper.
        poses: `T_object_grasp`; none for the object alone.
        colours: sRGB in [0, 1] of each grasp; see `outcome_colours`.
        opening: of the fingers at each grasp, metres; wide open unless given.
        style: "hand" draws the gripper's boxes, "fork" thin bars along hand and fingers, which hide
            less; by default forks for more than three grasps.
        direction: from the object towards the camera.
        up: what is upright in the picture.
        width: of the picture, pixels.
        height: of the picture, pixels.
        samples: rays a pixel.

    Raises:
        InputError: a colour is out of range, the size is below 1, or the camera has no view.
    """
    if style is None:
        style = "hand" if len(poses) <= _MOST_HANDS else "fork"
    parts: list[Part] = [_object_part(obj)]
    for index, pose in enumerate(poses):
        open_by = gripper.stroke if opening is None else float(opening[index])
        open_by = min(max(open_by, 0.0), gripper.stroke)
        vertices, faces = gripper.mesh(open_by) if style == "hand" else fork_mesh(gripper, open_by)
        colour: Colour = UNKNOWN if colours is None else colours[index]
        parts.append(Mesh(vertices @ pose[:3, :3].T + pose[:3, 3], faces, colour))
    camera = frame(parts, direction, up=up, aspect=width / height)
    return render(parts, camera, width=width, height=height, samples=samples)


def fork_mesh(
    gripper: Gripper, opening: float
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Thin bars in the gripper's frame: from the base to the fingers' roots, and along each finger.

    Args:
        gripper: the gripper.
        opening: metres.
    """
    root = min(box.centre[2] - box.half_extents[2] for box in gripper.finger_boxes)
    tip = gripper.pad[1]
    side = opening / 2 + _BAR
    bars = (
        Box(np.array([0, 0, root / 2]), np.array([_BAR, _BAR, root / 2])),
        Box(np.array([0, 0, root]), np.array([side + _BAR, _BAR, _BAR])),
        Box(np.array([side, 0, (root + tip) / 2]), np.array([_BAR, _BAR, (tip - root) / 2])),
        Box(np.array([-side, 0, (root + tip) / 2]), np.array([_BAR, _BAR, (tip - root) / 2])),
    )
    return box_mesh(bars)


def _object_part(obj: Object) -> Part:
    if obj.faces is not None:
        return Mesh(obj.vertices, obj.faces, OBJECT)
    from scipy.spatial import cKDTree

    # Balls that just touch their neighbours.
    spacing = float(np.median(cKDTree(obj.vertices).query(obj.vertices, 2)[0][:, 1]))
    return Spheres(obj.vertices, max(spacing, 1e-4), OBJECT)
