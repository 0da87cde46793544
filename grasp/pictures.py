"""Ray-cast pictures of an object with grippers; neither a display nor a GPU is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.grippers.gripper import Box, Gripper, box_mesh
from grasp.objects.object import CAMERA_FRAME, Object
from grasp.poses.frames import inverse
from grasp.scenes.scene import Scene
from pcdiff.drawing.camera import frame
from pcdiff.drawing.parts import Colour, Image, Mesh, Part, Spheres, Vector
from pcdiff.drawing.rendering import render
from pcdiff.drawing.sheets import arranged, captioned

SUCCESS: Vector = (0.0, 0.62, 0.42)
FAILURE: Vector = (0.84, 0.30, 0.10)
"""Colours of successes and failures: green and red that colour-blind readers can distinguish."""

UNKNOWN: Vector = (0.45, 0.45, 0.48)
"""Colour of grasps whose outcome is unknown."""

OBJECT: Vector = (0.78, 0.74, 0.66)
"""Colour of the object."""

ABOVE: Vector = (-0.8, -1.0, 0.7)
"""Direction from an object to a camera in front of the object, slightly to the side and above.

The object's z axis points up."""

SURROUNDINGS: Vector = (0.62, 0.68, 0.75)
"""Colour of the surroundings of the object."""

BESIDE: Vector = (0.35, -0.5, -1.0)
"""Direction from an object to a viewer beside and above the depth camera that saw the object.

In the camera frame, y points down and z forward."""

TABLE = 3.0
"""Length of the drawn part of a table, as a multiple of the longest side of what stands on it."""

_BAR = 0.0018  # half the thickness of a fork's bars in metres
_MOST_HANDS = 3  # above this number of grasps, forks are drawn by default


@dataclass(frozen=True)
class PictureSettings:
    """Camera and size of a picture.

    Attributes:
        direction: Direction from the object to the camera, in the object's frame.
        up: Direction in the object's frame that points up in the picture.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        samples: Number of rays per pixel.
    """

    direction: Vector = ABOVE
    up: Vector = (0.0, 0.0, 1.0)
    width: int = 900
    height: int = 700
    samples: int = 4


def outcome_colours(success: Bool[np.ndarray, " grasps"]) -> Float[np.ndarray, "grasps 3"]:
    """Return green for each successful grasp and red for each failed one."""
    return np.where(success[:, None], SUCCESS, FAILURE)


def probability_colours(
    probability: Float[np.ndarray, " grasps"],
) -> Float[np.ndarray, "grasps 3"]:
    """Return colours that change linearly from red at probability 0 to green at 1."""
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
    settings: PictureSettings | None = None,
    scene: Scene | None = None,
) -> Image:
    """Draw an object with a gripper at each pose.

    Args:
        obj: The object, a mesh or a cloud.
        gripper: The gripper.
        poses: `T_object_grasp` for each grasp in metres; an empty array draws the object alone.
        colours: Colour of each grasp, sRGB in [0, 1], e.g. from `outcome_colours`.
        opening: Opening of the fingers at each grasp in metres; None for fully open fingers.
        style: Shape of the gripper: "hand" draws the gripper's boxes; "fork" draws thin bars along
            the hand and the fingers, which hide less of the object. If None, up to three grasps are
            drawn as hands, and a larger number of grasps as forks.
        settings: Camera and size of the picture; `settings_for(obj)` if None.
        scene: Surroundings of the object, which are drawn, too; None for none.

    Raises:
        InputError: If a colour is out of range, a side of the picture is below 1 pixel, or the
            camera direction is invalid.
    """
    settings = settings or settings_for(obj)
    if style is None:
        style = "hand" if len(poses) <= _MOST_HANDS else "fork"
    parts: list[Part] = [_object_part(obj)]
    for index, pose in enumerate(poses):
        open_by = gripper.stroke if opening is None else float(opening[index])
        open_by = min(max(open_by, 0.0), gripper.stroke)
        vertices, faces = gripper.mesh(open_by) if style == "hand" else fork_mesh(gripper, open_by)
        colour: Colour = UNKNOWN if colours is None else colours[index]
        parts.append(Mesh(vertices @ pose[:3, :3].T + pose[:3, 3], faces, colour))
    if scene is not None:
        parts += _surroundings(scene, obj)
    aspect = settings.width / settings.height
    camera = frame(parts, settings.direction, up=settings.up, aspect=aspect)
    return render(
        parts,
        camera,
        width=settings.width,
        height=settings.height,
        samples=settings.samples,
    )


def fork_mesh(
    gripper: Gripper, opening: float
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Build a fork in the gripper's frame: thin bars along the hand and along each finger.

    Args:
        gripper: The gripper.
        opening: Distance between the pads in metres.

    Returns:
        Vertices in metres, and triangles as indices of vertices.
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
    return Spheres(obj.vertices, _spacing(obj.vertices), OBJECT)


def _spacing(points: Float[np.ndarray, "points 3"]) -> float:
    """Return the median distance in metres to the nearest neighbour, at which balls overlap."""
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return 1e-3
    return max(float(np.median(cKDTree(points).query(points, 2)[0][:, 1])), 1e-4)


def settings_for(obj: Object) -> PictureSettings:
    """Return settings in which an object stands upright.

    The z axis of a file or of a robot's base points up, and the y axis of a depth camera points
    down. The viewer of a depth image stands beside the camera.

    Args:
        obj: The object.
    """
    if obj.frame == CAMERA_FRAME:
        return PictureSettings(direction=BESIDE, up=(0.0, -1.0, 0.0))
    return PictureSettings()


def _surroundings(scene: Scene, obj: Object) -> list[Part]:
    """Return what surrounds an object, in the frame of the object.

    Of a table, the part under the object is drawn.
    """
    T_object_world = inverse(scene.T_world_object)

    def placed(vertices: np.ndarray, T_world_part: np.ndarray) -> np.ndarray:
        T_object_part = T_object_world @ T_world_part
        return vertices @ T_object_part[:3, :3].T + T_object_part[:3, 3]

    parts: list[Part] = []
    for box in scene.boxes:
        vertices, faces = box_mesh((Box(np.zeros(3), box.size / 2),))
        parts.append(Mesh(placed(vertices, box.T_world_box), faces, SURROUNDINGS))
    for each in scene.meshes:
        assert each.object.faces is not None
        vertices = placed(each.object.vertices, each.T_world_mesh)
        parts.append(Mesh(vertices, each.object.faces, SURROUNDINGS))
    for cloud in scene.clouds:
        points = placed(cloud.points, cloud.T_world_cloud)
        parts.append(Spheres(points, _spacing(points), SURROUNDINGS))
    if scene.T_world_table is not None:
        T_table_object = inverse(scene.T_world_table) @ scene.T_world_object
        x, y, _ = T_table_object[:3, :3] @ obj.centre + T_table_object[:3, 3]
        half = TABLE / 2 * float(obj.extent.max())
        around = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
        corners = np.array([x, y, 0]) + half * around
        faces = np.array([[0, 1, 2], [0, 2, 3]])
        parts.append(Mesh(placed(corners, scene.T_world_table), faces, SURROUNDINGS))
    return parts


def evenly(count: int, most: int) -> Int[np.ndarray, " shown"]:
    """Return at most `most` indices that are evenly spread over 0 to count − 1, with both ends.

    Args:
        count: Number of grasps.
        most: Largest number of indices.
    """
    return np.unique(np.linspace(0, max(0, count - 1), most).astype(int))[:count]


def draw_ranked(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    probability: Float[np.ndarray, " grasps"],
    most: int = 30,
    scene: Scene | None = None,
) -> Image:
    """Draw grasps from the whole ranking, coloured by their probability of success.

    Args:
        obj: The object.
        gripper: The gripper.
        poses: Poses `T_object_grasp`, translations in metres, best first.
        probability: Probability of success of each grasp.
        most: Largest number of grasps to draw, evenly spread over the ranking.
        scene: Surroundings of the object; None for none.
    """
    shown = evenly(len(poses), most)
    colours = probability_colours(probability[shown])
    return draw_grasps(obj, gripper, poses[shown], colours=colours, scene=scene)


def draw_outcomes(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    success: Bool[np.ndarray, " grasps"],
    most: int = 15,
) -> Image:
    """Draw some successful and some failed grasps with open hands.

    Args:
        obj: The object.
        gripper: The gripper.
        poses: Poses `T_object_grasp`, translations in metres.
        success: True for each successful grasp.
        most: Largest number of grasps to draw of each outcome.
    """
    held, lost = np.flatnonzero(success), np.flatnonzero(~success)
    # Show every n-th grasp, so that no more than `most` grasps of each outcome remain.
    shown = np.concatenate([each[:: max(1, -(-len(each) // most))] for each in (held, lost)])
    return draw_grasps(obj, gripper, poses[shown], colours=outcome_colours(success[shown]))


def draw_gripper(
    gripper: Gripper,
    solids: Sequence[tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]] = (),
    size: int = 400,
) -> Image:
    """Draw an open gripper from two sides, so that its description can be checked.

    The upper row shows given meshes, for example the collision geometry from which the boxes were
    made, and the lower row the boxes. The pads are green. A red bar lies along the closing
    direction (+x) and a blue bar along the approach (+z); they meet at the tool centre point.

    Args:
        gripper: The gripper.
        solids: Meshes in metres in the gripper's frame, as vertices and faces; without meshes there
            is only one row.
        size: Width and height of each of the two or four views in pixels.
    """
    boxes = Mesh(*gripper.mesh(gripper.stroke), UNKNOWN)
    marks = _marks(gripper)
    rows = [("boxes", [boxes, *marks])]
    if solids:
        meshes = [Mesh(vertices, faces, OBJECT) for vertices, faces in solids]
        rows.insert(0, ("collision geometry", [*meshes, *marks]))
    tiles = []
    for caption, parts in rows:
        for view, direction in (("front", (0.15, -1.0, 0.1)), ("oblique", (-1.0, -0.7, 0.5))):
            camera = frame(parts, direction, up=(0.0, 0.0, -1.0), aspect=1.0)
            picture = render(parts, camera, width=size, height=size, samples=3, ground=False)
            tiles.append(captioned(picture, f"{gripper.name}: {caption}, {view}"))
    return arranged(tiles, 2)


def _marks(gripper: Gripper) -> list[Part]:
    """Return the pads, and bars along the closing and approach directions."""
    begin, end = gripper.pad
    touching = [box for box in gripper.finger_boxes if box.centre[0] - box.half_extents[0] < 1e-6]
    width = max(float(box.half_extents[1]) for box in touching)
    centre = [0.0, float(touching[0].centre[1]), (begin + end) / 2]
    thin = 2e-4
    pads = [
        Box(
            np.array([side * (gripper.stroke / 2 - thin), *centre[1:]]),
            np.array([thin, width, (end - begin) / 2]),
        )
        for side in (-1, 1)
    ]
    tip = np.asarray(gripper.tool_center_point, np.float64)
    closing = Box(tip, np.array([gripper.stroke / 2, _BAR / 2, _BAR / 2]))
    length = float(end - begin) / 2 + 0.25 * float(end)
    approach = Box(tip + np.array([0, 0, length / 2]), np.array([_BAR / 2, _BAR / 2, length / 2]))
    return [
        Mesh(*box_mesh(pads), SUCCESS),
        Mesh(*box_mesh([closing]), FAILURE),
        Mesh(*box_mesh([approach]), (0.15, 0.31, 0.60)),
    ]
