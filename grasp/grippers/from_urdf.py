"""A gripper from the URDF of a hand with two parallel jaws.

The hand must have exactly two prismatic joints, whose jaws are mirror images and move equally and
oppositely along one line. A hand with other moving joints below its palm (turning fingers, three
fingers) is refused with the reason. Moving joints above the palm belong to an arm and are ignored.

Boxes are the bounding boxes of the collision geometry in the gripper's frame, one for each shape.
The pads are where the jaws meet first: the faces of a mesh that lie on its inner side, or the inner
side of a box. The tool centre point is the middle of the pads.

The gripper frame is found so: x is the line of the jaws' motion, and z is the axis of the base link
or of a jaw that points from the palm to the jaws. The base link is the root of the description, or,
if there is an arm, the link that carries the jaws. The origin is the point of the approach axis
(the line along z through the middle between the pads) that is nearest to the origin of the base
link. `HandFromURDF.T_link_grasp` states the pose of this frame in the base link.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from grasp.grippers.gripper import (
    BOX_FACES,
    Box,
    Gripper,
    gripper_from_entries,
    gripper_text,
    shipped_grippers,
)
from grasp.grippers.urdf import MOVING, Joint, Robot, Solid, read_urdf
from grasp.poses.frames import inverse
from pcdiff.errors import InputError

AXES = ("+x", "-x", "+y", "-y", "+z", "-z")
"""Names of the axes of the base link along which a hand may approach."""

_SAME = 1e-3  # tolerance of directions, and of lengths in metres, that must agree
_PAD_DEPTH = 5e-4  # faces of a mesh this near its inner side belong to the pad, in metres
_FACING = 0.9  # smallest |cosine| between the normal of a pad's face and the closing direction


@dataclass(frozen=True)
class HandOptions:
    """What a description of a hand may leave out.

    Attributes:
        name: Name of the gripper; None means the name of the robot.
        max_force: Largest force of each finger in newtons; None means the effort of the joints.
        mass: Mass of the hand in kilograms; None means the sum of the masses of the links.
        approach: Axis of the base link along which the hand approaches, one of `AXES`; None finds
            the axis.
        meshes: Folder that contains the mesh files; None means the folder of the description.
    """

    name: str | None = None
    max_force: float | None = None
    mass: float | None = None
    approach: str | None = None
    meshes: str | os.PathLike[str] | None = None


@dataclass(frozen=True, eq=False)
class HandFromURDF:
    """A gripper that was found in a description.

    Attributes:
        gripper: The gripper.
        source: Name of the file.
        link: Base link of the hand.
        joints: Names of the joints of the jaw at +x and of the jaw at −x.
        T_link_grasp: Pose of the gripper frame in the base link.
        solids: Collision geometry in metres in the gripper frame: the palm, the jaw at +x and the
            jaw at −x, both wide open.
        notes: Sentences for the user about what was assumed.
    """

    gripper: Gripper
    source: str
    link: str
    joints: tuple[str, str]
    T_link_grasp: Float[np.ndarray, "4 4"]
    solids: tuple[tuple[Solid, ...], tuple[Solid, ...], tuple[Solid, ...]]
    notes: tuple[str, ...] = ()

    def meshes(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the collision geometry as meshes (vertices, faces) in metres, for pictures."""
        made = []
        for each in (solid for solids in self.solids for solid in solids):
            if each.faces is not None:
                made.append((each.vertices, each.faces))
            else:
                made.append((each.vertices, BOX_FACES))
        return made

    def text(self) -> str:
        """Return the text of a .toml file that `load_gripper` reads, with comments."""
        rows = "; ".join(
            " ".join(f"{number:.6g}" for number in row) for row in self.T_link_grasp.tolist()
        )
        comments = [
            f"Made from {self.source}, in metres, newtons and kilograms.",
            f"Pose of this frame in the link {self.link} (rows): {rows}",
            f"Jaws: {self.joints[0]} at +x, {self.joints[1]} at -x.",
            *self.notes,
        ]
        # A line break in a name must not end its comment.
        lines = [f"# {' '.join(each.split())}\n" for each in comments]
        return "".join(lines) + gripper_text(self.gripper)


def gripper_from_urdf(
    path: str | os.PathLike[str], options: HandOptions = HandOptions()
) -> HandFromURDF:
    """Find the gripper in the URDF of a hand.

    Args:
        path: File in URDF.
        options: What the description leaves out.

    Raises:
        InputError: If the file cannot be read (see `grasp.grippers.urdf.read_urdf`), the hand has
            no two parallel jaws, its approach direction is ambiguous, or force, mass or collision
            geometry are missing.
    """
    if options.approach is not None and options.approach not in AXES:
        raise InputError(
            f"the approach must be one of {', '.join(AXES)}, got {options.approach!r}",
            parameter="approach",
        )
    robot = read_urdf(path, options.meshes)
    try:
        return _found(robot, Path(path).name, options)
    except InputError as error:
        raise InputError(f"{path}: {error}", parameter=error.parameter) from error


def _found(robot: Robot, source: str, options: HandOptions) -> HandFromURDF:
    first, second, link = _jaw_joints(robot)
    palm = _rigid_links(robot, link)
    T_link = {name: inverse(_pose(robot, link)) @ _pose(robot, name) for name in robot.links}
    axes = [T_link[joint.child][:3, :3] @ joint.axis for joint in (first, second)]
    closing = axes[0]
    if abs(abs(closing @ axes[1]) - 1) > _SAME:
        raise InputError(
            f"the jaws must move along one line, but {first.name} and {second.name} differ by "
            f"{np.degrees(np.arccos(np.clip(abs(closing @ axes[1]), 0, 1))):.1f}°"
        )
    jaws = [_solids(robot, _rigid_links(robot, each.child), T_link) for each in (first, second)]
    if not all(jaws):
        missing = first.child if not jaws[0] else second.child
        raise InputError(f"the jaw {missing} has no collision geometry")
    body = _solids(robot, palm, T_link)
    if not body:
        raise InputError(f"the palm {link} has no collision geometry")

    # Put the jaw that is further along the closing direction first.
    moves = [_travel(first, second, each, sign) for each, sign in
             ((first, 1.0), (second, float(np.sign(closing @ axes[1]))))]  # fmt: skip
    centres = [
        _bounds(jaw, closing).mean() + move.mean() for jaw, move in zip(jaws, moves, strict=True)
    ]
    if abs(centres[0] - centres[1]) < 1e-6:
        raise InputError("the jaws must lie beside each other along their line of motion")
    order = [0, 1] if centres[0] > centres[1] else [1, 0]
    names = [(first, second)[each].name for each in order]
    jaws, moves = [jaws[each] for each in order], [moves[each] for each in order]
    right, left = moves
    if abs((right + left)[0] - (right + left)[1]) > _SAME or abs(right[1] - right[0]) < 1e-6:
        raise InputError(
            "the jaws must move equally and oppositely, but they move by "
            f"{right[1] - right[0]:g} m and {left[1] - left[0]:g} m"
        )
    wide = int(right[1] > right[0])  # the end of the motion at which the hand is open
    jaws = [
        tuple(Solid(each.vertices + move[wide] * closing, each.faces) for each in jaw)
        for jaw, move in zip(jaws, moves, strict=True)
    ]
    gaps = _bounds(jaws[0], closing)[0] - _bounds(jaws[1], closing)[1]
    travel = abs((right - left)[1] - (right - left)[0])
    if gaps <= 0:
        raise InputError("the open jaws overlap, so they have no opening between them")
    approach, note = _approach(options.approach, closing, body, jaws, T_link[first.child])

    rotation = np.stack([closing, np.cross(approach, closing), approach], axis=1)
    middle = (_bounds(jaws[0], closing)[0] + _bounds(jaws[1], closing)[1]) / 2
    stroke = float(gaps)
    pad, across = _pad(jaws[0], rotation)
    origin = rotation @ np.array([_snapped(middle), _snapped(across), 0.0])
    T_link_grasp = np.eye(4)
    T_link_grasp[:3, :3], T_link_grasp[:3, 3] = rotation, origin
    in_frame = [
        tuple(Solid((each.vertices - origin) @ rotation, each.faces) for each in solids)
        for solids in (body, *jaws)
    ]
    fingers = [Solid(each.vertices - [stroke / 2, 0, 0], each.faces) for each in in_frame[1]]
    _check_mirrored(in_frame[1], in_frame[2])
    name, renamed = _name(robot, options)
    notes = [each for each in (note, renamed) if each]
    if stroke - travel > _SAME:
        notes.append(
            f"The jaws stop {1000 * (stroke - travel):.1f} mm apart: smaller openings are not "
            "possible."
        )
    force, mass = _force_and_mass(robot, palm, (first, second), options)
    gripper = Gripper(
        name=name,
        stroke=_rounded(stroke),
        max_force=force,
        mass=mass,
        tool_center_point=np.array([0.0, 0.0, _rounded(sum(pad) / 2)]),
        hand_boxes=_boxes(in_frame[0]),
        finger_boxes=_boxes(fingers, inner=True),
        pad=(_rounded(pad[0]), _rounded(pad[1])),
    )
    checked = gripper_from_entries(tomllib.loads(gripper_text(gripper)), "the gripper")
    return HandFromURDF(
        checked, source, link, (names[0], names[1]), T_link_grasp,
        (in_frame[0], in_frame[1], in_frame[2]), tuple(notes),
    )  # fmt: skip


def _jaw_joints(robot: Robot) -> tuple[Joint, Joint, str]:
    """Return the joints of the two jaws and the base link, or raise the reason against the hand."""
    moving = [joint for joint in robot.joints.values() if joint.type in MOVING]
    sliding = [joint for joint in moving if joint.type == "prismatic"]
    if len(sliding) != 2:
        turning = [joint.name for joint in moving if joint.type in ("revolute", "continuous")]
        if turning and not sliding:
            raise InputError(
                f"the fingers turn ({_listed(turning)}): a parallel jaw needs two prismatic joints"
            )
        raise InputError(
            f"a parallel jaw must have two prismatic joints, got {len(sliding)}"
            + (f" ({_listed([joint.name for joint in sliding])})" if sliding else "")
        )
    first, second = sliding
    for one, other in ((first, second), (second, first)):
        if other in robot.path_to(one.parent):
            raise InputError(f"the jaw {one.child} is carried by the jaw {other.child}")
        if one.limits is None or not one.limits[0] < one.limits[1]:
            raise InputError(f"the joint {one.name} must have limits with lower below upper")
    above = [
        [joint for joint in robot.path_to(each.parent) if joint.type in MOVING]
        for each in (first, second)
    ]
    if above[0] != above[1]:
        raise InputError("both jaws must be mounted on the same rigid palm")
    others = [joint.name for joint in moving if joint not in (first, second, *above[0])]
    if others:
        raise InputError(f"a parallel jaw must have no other moving joints, got {_listed(others)}")
    return first, second, first.parent if above[0] else robot.root


def _rigid_links(robot: Robot, link: str) -> list[str]:
    """Return a link and all links below it that are joined to it by fixed joints."""
    found = [link]
    for name in found:
        found += [
            joint.child
            for joint in robot.joints.values()
            if joint.parent == name and joint.type == "fixed"
        ]
    return found


def _pose(robot: Robot, link: str) -> Float[np.ndarray, "4 4"]:
    pose = np.eye(4)
    for joint in robot.path_to(link):
        pose = pose @ joint.T_parent_child
    return pose


def _solids(robot: Robot, links: list[str], T_link: dict[str, np.ndarray]) -> tuple[Solid, ...]:
    return tuple(
        Solid(each.vertices @ T_link[name][:3, :3].T + T_link[name][:3, 3], each.faces)
        for name in links
        for each in robot.links[name].solids
    )


def _travel(first: Joint, second: Joint, joint: Joint, sign: float) -> Float[np.ndarray, "2"]:
    """Return how far a jaw has moved along the closing direction at both ends of the motion."""
    leader = second if joint is first else first
    if joint.mimics is not None:
        name, factor, offset = joint.mimics
        if name != leader.name or leader.mimics is not None:
            raise InputError(f"the joint {joint.name} must mimic the joint of the other jaw")
        assert leader.limits is not None
        return sign * (factor * np.array(leader.limits) + offset)
    assert joint.limits is not None
    if leader.mimics is not None:
        return sign * np.array(joint.limits)
    # Free jaws move together: the first from its lower to its upper limit, and the second so that
    # it moves against the first.
    ends = np.array(joint.limits)
    if joint is second and sign > 0:
        ends = ends[::-1]
    return sign * ends


def _bounds(solids: tuple[Solid, ...], axis: np.ndarray) -> Float[np.ndarray, "2"]:
    """Return the smallest and the largest coordinate of solids along an axis."""
    along = np.concatenate([_corners_of(each) for each in solids]) @ axis
    return np.array([along.min(), along.max()])


def _corners_of(solid: Solid) -> Float[np.ndarray, "vertices 3"]:
    return solid.vertices if solid.faces is None else solid.vertices[np.unique(solid.faces)]


def _approach(
    given: str | None,
    closing: np.ndarray,
    body: tuple[Solid, ...],
    jaws: list[tuple[Solid, ...]],
    T_link_jaw: np.ndarray,
) -> tuple[np.ndarray, str]:
    """Return the approach direction in the base link, and a note if the user should check it."""
    if given is not None:
        axis = np.eye(3)["xyz".index(given[1])] * (1 if given[0] == "+" else -1)
        if abs(axis @ closing) > _SAME:
            raise InputError(
                f"the approach {given} must be perpendicular to the motion of the jaws",
                parameter="approach",
            )
        return axis, ""
    corners = np.concatenate([_corners_of(each) for jaw in jaws for each in jaw])
    palm = np.concatenate([_corners_of(each) for each in body])
    # Centres of bounding boxes, because the vertices of a mesh crowd where it has details.
    towards = (corners.min(0) + corners.max(0) - palm.min(0) - palm.max(0)) / 2
    towards = towards - (towards @ closing) * closing
    length = float(np.linalg.norm(towards))
    choices = [sign * axis for frame in (np.eye(3), T_link_jaw[:3, :3]) for axis in frame.T
               for sign in (1.0, -1.0) if abs(axis @ closing) < _SAME]  # fmt: skip
    if length < _SAME or not choices:
        raise InputError(
            "the approach direction is ambiguous, because the jaws are not on one side of the palm:"
            " state the axis of the base link along which the hand approaches",
            parameter="approach",
        )
    best = max(choices, key=lambda axis: float(axis @ towards))
    cosine = float(best @ towards) / length
    if cosine < np.cos(np.radians(35)):
        raise InputError(
            "the approach direction is ambiguous, because the jaws lie obliquely to the palm: "
            "state the axis of the base link along which the hand approaches",
            parameter="approach",
        )
    if cosine < np.cos(np.radians(15)):
        return best, "Check the approach direction: the jaws lie obliquely to the palm."
    return best, ""


def _pad(jaw: tuple[Solid, ...], rotation: np.ndarray) -> tuple[tuple[float, float], float]:
    """Return start and end of the pad of the jaw at +x along z, and its middle along y."""
    inner = _bounds(jaw, rotation[:, 0])[0]
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for solid in jaw:
        points = solid.vertices @ rotation
        if solid.faces is not None:
            triangles = points[solid.faces]
            normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
            size = np.linalg.norm(normals, axis=1)
            on_side = (triangles[:, :, 0] - inner < _PAD_DEPTH).all(axis=1) & (size > 0)
            on_side &= np.abs(normals[:, 0]) > _FACING * size
            points = triangles[on_side].reshape(-1, 3)
        elif points[:, 0].min() - inner > _PAD_DEPTH:
            continue
        if len(points):
            low, high = np.minimum(low, points.min(0)), np.maximum(high, points.max(0))
    if not (high[2] - low[2] > _SAME):
        raise InputError("the jaws have no flat pads: their inner sides touch along less than 1 mm")
    return (float(low[2]), float(high[2])), float(low[1] + high[1]) / 2


def _check_mirrored(right: tuple[Solid, ...], left: tuple[Solid, ...]) -> None:
    extents = []
    for solids, sign in ((right, 1.0), (left, -1.0)):
        points = np.concatenate([_corners_of(each) for each in solids]) * [sign, 1, 1]
        extents.append(np.concatenate([points.min(0), points.max(0)]))
    off = float(np.abs(extents[0] - extents[1]).max())
    if off > 2 * _SAME:
        raise InputError(
            f"the jaws must be mirror images, but their boxes differ by {1000 * off:.1f} mm"
        )


def _boxes(solids: tuple[Solid, ...] | list[Solid], inner: bool = False) -> tuple[Box, ...]:
    """Return the bounding box of each solid; the inner side of a finger is exactly at x = 0."""
    boxes = []
    for solid in solids:
        points = _corners_of(solid)
        low, high = (np.round(each, 6) for each in (points.min(0), points.max(0)))
        if inner and abs(low[0]) <= 2e-6:
            low[0] = 0.0
        high = np.maximum(high, low + 2e-6)  # a flat shape
        boxes.append(Box(np.round((low + high) / 2, 7), np.round((high - low) / 2, 7)))
    return tuple(boxes)


def _force_and_mass(
    robot: Robot, palm: list[str], jaws: tuple[Joint, Joint], options: HandOptions
) -> tuple[float, float]:
    links = palm + [name for joint in jaws for name in _rigid_links(robot, joint.child)]
    mass = sum(robot.links[name].mass for name in links) if options.mass is None else options.mass
    force = options.max_force
    if force is None:
        force = max(joint.effort for joint in jaws if joint.mimics is None)
    for name, value, unit in (("max_force", force, "newtons"), ("mass", mass, "kilograms")):
        if not 0 < value < float("inf"):
            raise InputError(
                f"{name} must be above 0 {unit}, but the description does not state it: state it",
                parameter=name,
            )
    return float(force), float(f"{mass:.6g}")


def _snapped(length: float) -> float:
    """Return a length, or 0 if it is below a micrometre."""
    return 0.0 if abs(length) < 1e-6 else float(length)


def _rounded(length: float) -> float:
    return float(np.round(length, 6))


def _name(robot: Robot, options: HandOptions) -> tuple[str, str]:
    """Return the name of the gripper, and a note if it is not the name of the robot."""
    shipped = shipped_grippers()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", options.name or robot.name).strip("._-")[:60] or "hand"
    if name not in shipped:
        return name, ""
    if options.name is not None:
        raise InputError(
            f"the name of the gripper must not be that of a shipped gripper, got {name!r}",
            parameter="name",
        )
    return f"{name}_urdf", f"The shipped gripper {name} has another description, so choose a name."


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
