"""Reader of robot descriptions in URDF: links with their collision geometry, and joints.

The reader is for descriptions from anywhere. It expands no entities, refuses document types, and
reads mesh files only inside one folder, by default the folder of the description. A name
`package://NAME/FILE` means FILE or NAME/FILE in this folder.
"""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from grasp.documents import kind_of
from pcdiff.errors import InputError
from pcdiff.geometry.reading import read_geometry
from pcdiff.untrusted import read_bytes

LARGEST_FILE = 2**24
"""Largest accepted file size in bytes; a description of a hand has 10 to 100 thousand."""

MOST_PARTS = 1000
"""Largest accepted number of links, of joints, and of collision geometries."""

MOVING = ("revolute", "continuous", "prismatic", "planar", "floating")
"""Types of joints that move."""

_TYPES = (*MOVING, "fixed")


@dataclass(frozen=True, eq=False)
class Solid:
    """A collision geometry: a triangle mesh, or the corners of a box around a simple shape.

    Attributes:
        vertices: Vertices in metres in the frame of the link.
        faces: Triangles as indices of vertices, (n, 3); None for the corners of a box.
        radius: Radius in metres if the box surrounds a sphere; None for any other shape.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: np.ndarray | None
    radius: float | None = None


@dataclass(frozen=True, eq=False)
class Link:
    """A rigid part of a robot.

    Attributes:
        name: Name of the link.
        mass: Mass in kilograms; 0 if the description does not state it.
        solids: Collision geometry.
    """

    name: str
    mass: float
    solids: tuple[Solid, ...]


@dataclass(frozen=True, eq=False)
class Joint:
    """A joint between two links.

    Attributes:
        name: Name of the joint.
        type: Type of the joint, "fixed" or one of `MOVING`.
        parent: Name of the parent link.
        child: Name of the child link.
        T_parent_child: Pose of the child link in the parent link at position 0.
        axis: Direction of the joint in the child link, a unit vector.
        limits: Lowest and highest position in metres or radians; None if they are not stated.
        effort: Largest force in newtons or torque in newton metres; 0 if it is not stated.
        velocity: Largest speed in metres or radians per second; 0 if it is not stated.
        mimics: Name of the joint that this joint follows, factor and offset; None if it is free.
    """

    name: str
    type: str
    parent: str
    child: str
    T_parent_child: Float[np.ndarray, "4 4"]
    axis: Float[np.ndarray, "3"]
    limits: tuple[float, float] | None
    effort: float
    velocity: float
    mimics: tuple[str, float, float] | None


@dataclass(frozen=True, eq=False)
class Robot:
    """A robot description.

    Attributes:
        name: Name of the robot.
        links: Links by name.
        joints: Joints by the name of their child link.
        root: Name of the link without a parent.
    """

    name: str
    links: dict[str, Link]
    joints: dict[str, Joint]
    root: str

    def path_to(self, link: str) -> list[Joint]:
        """Return the joints from the root to a link, in this order."""
        joints: list[Joint] = []
        while link != self.root:
            joints.append(self.joints[link])
            link = joints[-1].parent
        return joints[::-1]


def read_urdf(path: str | os.PathLike[str], meshes: str | os.PathLike[str] | None = None) -> Robot:
    """Read a robot description.

    Args:
        path: File in URDF, not in xacro.
        meshes: Folder that contains all mesh files; None means the folder of the description.

    Raises:
        InputError: If the file is no URDF, has a document type, a number is missing or not finite,
            the links are no tree, or a mesh file is outside the folder or cannot be read.
    """
    path = Path(path)
    folder = path.parent if meshes is None else Path(meshes)
    root = _parse(path)
    try:
        links = [_link(each, path.parent, folder) for each in root.findall("link")]
        joints = [_joint(each) for each in root.findall("joint")]
        if max(len(links), len(joints), sum(len(each.solids) for each in links)) > MOST_PARTS:
            raise InputError(f"the robot must have at most {MOST_PARTS} links, joints and shapes")
        return _tree(root.get("name") or path.stem, links, joints)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error


def _parse(path: Path) -> ElementTree.Element:
    try:
        text = read_bytes(path, LARGEST_FILE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason}") from error
    # A document type can define entities, which may name other files or grow without bound.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(f"{path} must have no document type (<!DOCTYPE …>), which URDF never has")
    if "xacro:" in text:
        raise InputError(
            f"{path} is a xacro file: expand it to URDF first (xacro FILE > HAND.urdf)"
        )
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not XML: {error}") from error
    if root.tag != "robot":
        raise InputError(f"{path} is not a URDF file: expected the element robot, got {root.tag}")
    return root


def _tree(name: str, links: list[Link], joints: list[Joint]) -> Robot:
    """Check that the links are a tree, and return the robot."""
    by_name = {link.name: link for link in links}
    if not links or len(by_name) < len(links):
        raise InputError("expected links with different names")
    by_child: dict[str, Joint] = {}
    for joint in joints:
        for link in (joint.parent, joint.child):
            if link not in by_name:
                raise InputError(f"the joint {joint.name} names the link {link}, which is missing")
        if by_child.setdefault(joint.child, joint) is not joint:
            raise InputError(f"the link {joint.child} must be the child of a single joint")
    roots = [link for link in by_name if link not in by_child]
    if len(roots) != 1:
        raise InputError(f"the links must be a tree with one root, got {len(roots)} roots")
    reached, waiting = set(), roots[:]
    while waiting:
        link = waiting.pop()
        reached.add(link)
        waiting += [joint.child for joint in joints if joint.parent == link]
    if len(reached) < len(links):
        raise InputError("the links must be a tree, but some links are not joined to the root")
    return Robot(name, by_name, by_child, roots[0])


def _link(element: ElementTree.Element, beside: Path, folder: Path) -> Link:
    name = _name(element, "link")
    mass = element.find("inertial/mass")
    value = 0.0 if mass is None else _numbers(mass, "value", f"the mass of {name}", 1)[0]
    solids = []
    for collision in element.findall("collision"):
        origin = _origin(collision.find("origin"), f"a collision of {name}")
        geometry = collision.find("geometry")
        shape = None if geometry is None else next(iter(geometry), None)
        if shape is None:
            raise InputError(f"a collision of {name} has no geometry")
        solid = _shape(shape, name, beside, folder)
        placed = solid.vertices @ origin[:3, :3].T + origin[:3, 3]
        solids.append(replace(solid, vertices=placed))
    return Link(name, float(value), tuple(solids))


def _shape(shape: ElementTree.Element, link: str, beside: Path, folder: Path) -> Solid:
    """Return a shape in its own frame."""
    what = f"the {shape.tag} of {link}"
    if shape.tag == "box":
        return Solid(_corners(_numbers(shape, "size", what, 3) / 2), None)
    if shape.tag == "sphere":
        (radius,) = _numbers(shape, "radius", what, 1)
        return Solid(_corners(np.full(3, radius)), None, float(radius))
    if shape.tag in ("cylinder", "capsule"):
        (radius,), (length,) = (_numbers(shape, each, what, 1) for each in ("radius", "length"))
        height = length / 2 + (radius if shape.tag == "capsule" else 0)
        return Solid(_corners(np.array([radius, radius, height])), None)
    if shape.tag != "mesh":
        raise InputError(f"{what} must be a box, cylinder, sphere or mesh")
    file = _mesh_file(shape.get("filename") or "", link, beside, folder)
    scale = np.ones(3) if shape.get("scale") is None else _numbers(shape, "scale", what, 3)
    geometry = read_geometry(file)
    if geometry.faces is None or not len(geometry.faces):
        raise InputError(f"{file} is not a mesh")
    vertices = np.asarray(geometry.vertices, np.float64) * scale * (geometry.unit or 1.0)
    used = np.unique(geometry.faces)
    if used[0] < 0 or used[-1] >= len(vertices) or not np.isfinite(vertices[used]).all():
        raise InputError(f"{file} is a damaged mesh")
    return Solid(vertices, np.asarray(geometry.faces))


def _mesh_file(name: str, link: str, beside: Path, folder: Path) -> Path:
    """Return the file of a mesh, which must lie in `folder`."""
    inside = folder.resolve()
    if name.startswith("package://"):
        package, _, rest = name.removeprefix("package://").partition("/")
        choices = [folder / rest, folder / package / rest]
    elif "://" in name and not name.startswith("file://"):
        raise InputError(f"the mesh {kind_of(name)} of {link} must be a file or package://…")
    else:
        choices = [beside / name.removeprefix("file://")]
    for choice in choices:
        found = Path(os.path.realpath(choice))
        if found.is_file() and found.is_relative_to(inside):
            return found
    if any(Path(os.path.realpath(choice)).is_file() for choice in choices):
        raise InputError(
            f"the mesh {kind_of(name)} of {link} must lie in the folder {folder}: name the folder "
            "of the meshes",
            parameter="meshes",
        )
    raise InputError(
        f"the mesh {kind_of(str(PurePosixPath(name)))} of {link} is missing in the folder {folder}",
        parameter="meshes",
    )


def _joint(element: ElementTree.Element) -> Joint:
    name = _name(element, "joint")
    kind = element.get("type", "")
    if kind not in _TYPES:
        raise InputError(f"the type of the joint {name} must be one of {', '.join(_TYPES)}")
    ends = [element.find(each) for each in ("parent", "child")]
    parent, child = ("" if each is None else each.get("link", "") for each in ends)
    if not parent or not child:
        raise InputError(f"the joint {name} must name its parent and its child link")
    stated = element.find("axis")
    axis = np.array([1.0, 0.0, 0.0])
    if stated is not None:
        axis = _numbers(stated, "xyz", f"the axis of the joint {name}", 3)
    norm = float(np.linalg.norm(axis))
    if kind in MOVING and norm < 1e-6:
        raise InputError(f"the axis of the joint {name} must not be zero")
    limit = element.find("limit")
    limits = None
    most = {"effort": 0.0, "velocity": 0.0}
    if limit is not None:
        what = f"the limit of the joint {name}"
        low, high = (
            0.0 if limit.get(each) is None else float(_numbers(limit, each, what, 1)[0])
            for each in ("lower", "upper")
        )
        limits = (low, high)
        for each in most:
            if limit.get(each) is not None:
                most[each] = float(_numbers(limit, each, what, 1)[0])
    mimic = element.find("mimic")
    mimics = None
    if mimic is not None:
        what = f"the mimic of the joint {name}"
        factor, offset = (
            default if mimic.get(each) is None else float(_numbers(mimic, each, what, 1)[0])
            for each, default in (("multiplier", 1.0), ("offset", 0.0))
        )
        mimics = (mimic.get("joint", ""), factor, offset)
    pose = _origin(element.find("origin"), f"the joint {name}")
    axis = axis / (norm or 1.0)
    return Joint(name, kind, parent, child, pose, axis, limits, **most, mimics=mimics)


def _origin(element: ElementTree.Element | None, what: str) -> Float[np.ndarray, "4 4"]:
    """Return the pose of an element `origin`: xyz in metres, and roll, pitch and yaw in radians."""
    from scipy.spatial.transform import Rotation

    pose = np.eye(4)
    if element is None:
        return pose
    if element.get("xyz") is not None:
        pose[:3, 3] = _numbers(element, "xyz", f"the origin of {what}", 3)
    if element.get("rpy") is not None:
        angles = _numbers(element, "rpy", f"the origin of {what}", 3)
        pose[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
    return pose


def _numbers(
    element: ElementTree.Element, attribute: str, what: str, count: int
) -> Float[np.ndarray, " count"]:
    text = element.get(attribute)
    try:
        numbers = [float(word) for word in (text or "").split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise InputError(
            f"{attribute} of {what} must be {count} finite numbers, got {kind_of(text)}"
        )
    return np.array(numbers)


def _name(element: ElementTree.Element, kind: str) -> str:
    name = element.get("name")
    if not name:
        raise InputError(f"each {kind} must have a name")
    return name


def _corners(half: Float[np.ndarray, "3"]) -> Float[np.ndarray, "8 3"]:
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    return signs * half
