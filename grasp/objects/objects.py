"""Objects to grasp: meshes, point clouds and depth images, checked and in metres.

An object stays in the frame of its file. The transforms of a scene graph (glb, dae) are applied;
axes are never converted, so y stays up where the file has y up. An object from a depth image is in
the frame of its camera: x to the right, y down, z forward.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.objects.depth import read_depth_image
from grasp.objects.normals import (
    CONFIDENCE,
    NEIGHBOURS,
    directions,
    estimate_normals,
    propagate_signs,
)
from grasp.objects.rays import Target
from pcdiff.errors import InputError
from pcdiff.geometry.files import (
    READERS,
    UNITS,
    check_corners,
    read_geometry,
    read_obj_objects,
)

if TYPE_CHECKING:
    import trimesh

MINIMUM_EXTENT = 0.005
MAXIMUM_EXTENT = 3.0
"""Metres. An object whose longest side is outside is taken for one in another unit."""

TYPICAL_EXTENT = 0.15
"""Metres: the longest side of an object for one hand; it ranks the units that a file may be in."""

PARTS_WITHIN = 0.05
"""Of a mesh's longest side: how far its box and that of its convex parts may differ. An approximate
decomposition is a few hundredths off, one in another unit or frame is far off."""

MAXIMUM_COORDINATE = 1e9
"""Metres from the origin, beyond which areas and volumes are not computed."""

DEPTH_IMAGES = (".npz", ".png")
"""The endings of depth images."""

LOOKS = 4096
"""Places on an open mesh from which its outside is looked for, evenly by area."""

LOOK_DIRECTIONS = 64
"""In which they are."""

Part = tuple[np.ndarray, np.ndarray]

# A triangle this thin, as area over its longest side squared, has no area but that of rounding.
_THINNEST = 1e-12


@dataclass(frozen=True, eq=False)
class Object:
    """The geometry of one object in metres, in the frame of its file: a mesh or a point cloud.

    Made by `load_object`, `Object.from_mesh` and `Object.from_points`, which check it. Its arrays
    are read-only.

    Args:
        name: The file's name without its ending.
        vertices: (vertices, 3) float64, metres; the points, for a cloud.
        faces: (faces, 3) int64, counter-clockwise seen from outside; None for a cloud.
        normals: (vertices, 3) float64, unit and outward, for a cloud; None for a mesh.
        file: Where it was read from; None if it was made.
        scale: What the file's numbers were multiplied by to become metres.
        sha256: Of the geometry after scaling (hexadecimal): equal for equal arrays, whatever file
            they came from.
        parts: Exact convex parts as (vertices, faces), if they are known.
        sided: For each face whether it is known which of its sides is outside; where not, as in a
            sheet, both may be touched. None for a cloud.
    """

    name: str
    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"] | None
    normals: Float[np.ndarray, "vertices 3"] | None
    file: str | None
    scale: float
    sha256: str
    parts: tuple[Part, ...] | None = None
    sided: Bool[np.ndarray, " faces"] | None = None

    @classmethod
    def from_mesh(
        cls,
        vertices: Float[np.ndarray, "vertices 3"],
        faces: Int[np.ndarray, "faces 3"],
        *,
        name: str = "object",
        parts: tuple[Part, ...] | None = None,
        file: str | None = None,
        scale: float = 1.0,
    ) -> Object:
        """A mesh object from arrays.

        Equal vertices become one; faces without area and vertices without faces are removed. A
        closed surface is turned outside out as a whole; if neighbouring faces contradict one
        another, each of its pieces is. Of an open one each piece is turned to the side that sees
        more of the surroundings, and stays as it is where both see about the same.

        Args:
            vertices: In the unit that `scale` turns into metres.
            faces: Indices of vertices.
            name: Of the object.
            parts: Its exact convex parts, in the unit of the vertices.
            file: Where it was read from.
            scale: Metres in a unit of the vertices.

        Raises:
            InputError: A number is not finite, an index has no vertex, there is no area, or the
                arrays are of another shape or kind.
        """
        vertices, faces, sided = _clean_mesh(vertices, faces, scale, file or name)
        scaled = None
        if parts is not None:
            scaled = tuple((_frozen(v * scale), _frozen(f.astype(np.int64))) for v, f in parts)
        digest = _content_hash(vertices, faces)
        return cls(name, vertices, faces, None, file, scale, digest, scaled, sided)

    @classmethod
    def from_points(
        cls,
        points: Float[np.ndarray, "points 3"],
        normals: Float[np.ndarray, "points 3"] | None = None,
        *,
        viewpoint: Float[np.ndarray, "3"] | None = None,
        name: str = "object",
        file: str | None = None,
        scale: float = 1.0,
    ) -> Object:
        """A point-cloud object from arrays; equal points become one.

        Args:
            points: In the unit that `scale` turns into metres.
            normals: Outward and of length 1; estimated by `grasp.objects.normals.estimate_normals`
                if they are not given.
            viewpoint: The position of the camera that saw all points, in their frame and unit; it
                tells the outside of estimated normals.
            name: Of the object.
            file: Where it was read from.
            scale: Metres in a unit of the points.

        Raises:
            InputError: A number is not finite, a normal has another length than 1, the points are
                fewer than `NEIGHBOURS` or on one line, or the arrays are of another shape or kind.
        """
        what = file or name
        points = _checked_positions(points, scale, what, "point")
        if normals is None:
            points = points[np.sort(_first_of_equals(points)[0])]
        else:
            if normals.shape != points.shape:
                raise InputError(
                    f"{what} must have one normal a point, got normals of shape {normals.shape} "
                    f"for points of shape {points.shape}"
                )
            lengths = np.linalg.norm(normals, axis=1)
            wrong = ~(np.abs(lengths - 1) < 0.01)  # NaN too
            if wrong.any():
                raise InputError(
                    f"{what} has {np.count_nonzero(wrong)} normals of {len(normals)} whose length "
                    "is not 1: leave them out and they will be estimated"
                )
            normals = normals.astype(np.float64) / lengths[:, None]
            kept = np.sort(_first_of_equals(np.hstack([points, normals]))[0])
            points, normals = points[kept], normals[kept]
        if len(points) < NEIGHBOURS:
            raise InputError(
                f"{what} has {len(points)} different points, expected at least {NEIGHBOURS}"
            )
        spread = np.linalg.eigvalsh(np.cov((points - points.mean(axis=0)).T))
        if not spread[1] > 1e-12 * spread[2]:
            raise InputError(f"{what} has all its points on one line, expected a surface")
        if normals is None:
            seen_from = None if viewpoint is None else viewpoint * scale
            normals = estimate_normals(points, seen_from)
        points, normals = _frozen(points), _frozen(normals)
        return cls(name, points, None, normals, file, scale, _content_hash(points), None)

    @property
    def is_mesh(self) -> bool:
        """Whether it has faces; else it is a point cloud."""
        return self.faces is not None

    @property
    def points(self) -> Float[np.ndarray, "points 3"] | None:
        """The points of a cloud; None for a mesh."""
        return None if self.is_mesh else self.vertices

    @cached_property
    def bounds(self) -> Float[np.ndarray, "2 3"]:
        """Smallest and largest coordinates, metres."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    @property
    def extent(self) -> Float[np.ndarray, "3"]:
        """Side lengths of the box along the file's axes, metres."""
        return self.bounds[1] - self.bounds[0]

    @cached_property
    def centre(self) -> Float[np.ndarray, "3"]:
        """The centre of the geometry, wherever the file's origin is.

        The centre of mass of a watertight mesh at uniform density, the area-weighted mean of any
        other mesh's triangles, the mean of a cloud's points.
        """
        if self.faces is None:
            return self.vertices.mean(axis=0)
        # Relative to the box's centre, so that a far origin costs no digits.
        origin = self.bounds.mean(axis=0)
        triangles = self.vertices[self.faces] - origin
        sums = triangles.sum(axis=1)
        if _is_closed(self.faces):
            volumes = np.linalg.det(triangles)
            if volumes.sum() > 1e-9 * np.prod(self.extent):
                centre = origin + volumes @ sums / (4 * volumes.sum())
                # A surface that crosses itself may have its centre of mass anywhere.
                if np.all((centre >= self.bounds[0]) & (centre <= self.bounds[1])):
                    return centre
        areas = np.linalg.norm(_area_vectors(triangles), axis=1)
        return origin + areas @ sums / (3 * areas.sum())

    @cached_property
    def face_normals(self) -> Float[np.ndarray, "faces 3"]:
        """Outward and of length 1, of each face of a mesh.

        Raises:
            InputError: It is a point cloud.
        """
        vectors = _area_vectors(self.vertices[self._triangles()])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def surface(
        self, count: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "count 3"], Float[np.ndarray, "count 3"]]:
        """Points on the surface with their outward unit normals.

        Of a mesh: independent and uniform by area (Osada et al., "Shape distributions", 2002,
        section 4.1). Of a cloud: a random subset of its points, each at most once unless `count`
        is larger than the cloud.

        Args:
            count: How many.
            rng: The source of randomness.
        """
        if self.normals is not None:
            chosen = rng.choice(len(self.vertices), count, replace=count > len(self.vertices))
            return self.vertices[chosen], self.normals[chosen]
        points, face = self.surface_faces(count, rng)
        return points, self.face_normals[face]

    def surface_faces(
        self, count: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "count 3"], Int[np.ndarray, " count"]]:
        """The points that `surface` draws on a mesh, each with the face that it is on.

        Args:
            count: How many.
            rng: The source of randomness.

        Raises:
            InputError: It is a point cloud.
        """
        triangles = self.vertices[self._triangles()]
        cumulative = np.cumsum(np.linalg.norm(_area_vectors(triangles), axis=1))
        face = _faces_at(cumulative, rng.uniform(0, cumulative[-1], count))
        root, share = np.sqrt(rng.uniform(size=count)), rng.uniform(size=count)
        return _on_triangles(triangles[face], root, share), face

    def mesh(self) -> trimesh.Trimesh:
        """A new trimesh of the same vertices and faces.

        Raises:
            InputError: It is a point cloud.
        """
        import trimesh

        return trimesh.Trimesh(self.vertices.copy(), self._triangles().copy(), process=False)

    def _triangles(self) -> Int[np.ndarray, "faces 3"]:
        if self.faces is None:
            raise InputError(f"{self.file or self.name} is a point cloud, expected a mesh")
        return self.faces


def load_object(
    path: str | os.PathLike[str],
    scale: float = 1.0,
    unit: str | None = None,
    *,
    mask: str | os.PathLike[str] | Bool[np.ndarray, "height width"] | None = None,
    intrinsics: str | os.PathLike[str] | Float[np.ndarray, "3 3"] | None = None,
    viewpoint: Float[np.ndarray, "3"] | None = None,
) -> Object:
    """Read an object and turn it into metres.

    - A mesh: .obj, .stl, .ply, .off, .glb or .dae. It need not be watertight. Several geometries in
      one file become one. The convex parts of `NAME.obj` are read from `NAME.parts.obj` (one `o` a
      part) where that is beside it.
    - A point cloud: .ply without faces, .pcd, .xyz or .npy. Normals are estimated where the file
      has none.
    - A depth image with its camera: .npz, or .png with a .json beside it, as
      `grasp.objects.depth.read_depth_image` describes them. The object is a cloud in the camera
      frame (x to the right, y down, z forward), and so are poses of grasps on it.

    Args:
        path: The file.
        scale: Multiplies the file's numbers, beside the unit.
        unit: Of the file's numbers: m, cm, mm or inch; unless given, what the file says (.dae, the
            .json of a depth image), else metres.
        mask: Of a depth image: a PNG or npy file that is not 0 at the object, or the mask itself.
        intrinsics: Of a depth image: a JSON file with fx, fy, cx and cy, or the matrix.
        viewpoint: Of a point cloud without normals that was seen from one place: the position of
            the camera in the file's frame and unit.

    Raises:
        InputError: The file is missing, damaged, too large or of another format; its geometry is
            empty, without area or not finite; its size is absurd in metres; its parts are
            elsewhere or of another size; or an argument does not go with it.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if unit is not None and unit not in UNITS:
        raise InputError(f"the unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"the scale must be a number above 0, got {scale}")
    if ending not in READERS and ending not in DEPTH_IMAGES:
        raise InputError(
            f"{path} must end in {', '.join([*READERS, *DEPTH_IMAGES])}, as meshes, point clouds "
            "and depth images do"
        )
    if ending not in DEPTH_IMAGES and (mask is not None or intrinsics is not None):
        raise InputError(f"{path} is no depth image, so it takes no mask and no intrinsics")
    if viewpoint is not None and not np.isfinite(viewpoint).all():
        raise InputError(f"the viewpoint must be finite, got {viewpoint.tolist()}")
    name = path.name[: -len(path.suffix)]
    if ending in DEPTH_IMAGES:
        image = read_depth_image(
            path, scale=scale, unit=unit, intrinsics=_file(intrinsics), mask=_file(mask)
        )
        points = image.points()
        if not len(points):
            raise InputError(f"{path} has no depth{'' if image.mask is None else ' in its mask'}")
        loaded = Object.from_points(points, viewpoint=np.zeros(3), name=name, file=str(path))
        loaded = replace(loaded, scale=image.scale)
        _check_extent(loaded, scale, "" if image.mask is not None else ", or a mask of the object")
        return loaded
    geometry = read_geometry(path)
    factor = scale * (UNITS[unit] if unit else geometry.unit or 1.0)
    if geometry.faces is None:
        loaded = Object.from_points(
            geometry.vertices,
            geometry.normals,
            viewpoint=viewpoint,
            name=name,
            file=str(path),
            scale=factor,
        )
    else:
        loaded = Object.from_mesh(
            geometry.vertices,
            geometry.faces,
            name=name,
            parts=_parts_beside(path),
            file=str(path),
            scale=factor,
        )
    _check_extent(loaded, scale)
    _check_parts(loaded)
    return loaded


def _file(given: str | os.PathLike[str] | np.ndarray | None) -> Path | np.ndarray | None:
    return given if given is None or isinstance(given, np.ndarray) else Path(given)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".parts.obj")


def _parts_beside(path: Path) -> tuple[Part, ...] | None:
    """The convex parts in the sidecar of an OBJ file, if it has one."""
    sidecar = _sidecar(path)
    if path.suffix.lower() != ".obj" or not sidecar.is_file():
        return None
    parts = tuple(read_obj_objects(sidecar))
    if not parts:
        raise InputError(f"{sidecar} holds no part, expected one `o` a part")
    for number, (vertices, faces) in enumerate(parts, 1):
        if not np.isfinite(vertices).all():
            raise InputError(f"{sidecar} has a vertex that is not finite, in part {number}")
        if len(faces) < 4 or not np.ptp(vertices, axis=0).all():
            raise InputError(f"{sidecar} has a part without volume, number {number}")
    return parts


def _checked_positions(
    positions: np.ndarray, scale: float, what: str, thing: str
) -> Float[np.ndarray, "positions 3"]:
    """Positions in metres."""
    if positions.ndim != 2 or positions.shape[1] != 3 or positions.dtype.kind not in "fiu":
        raise InputError(
            f"{what} must have its {thing} positions as numbers of shape (n, 3), "
            f"got {positions.dtype} of shape {positions.shape}"
        )
    if not np.isfinite(positions).all():
        raise InputError(f"{what} has a {thing} that is not finite")
    farthest = float(np.abs(positions).max(initial=0)) * scale
    if farthest > MAXIMUM_COORDINATE:
        raise InputError(
            f"{what} has a {thing} that is {farthest:.3g} m from the origin, "
            f"expected at most {MAXIMUM_COORDINATE:g} m"
        )
    return positions.astype(np.float64) * scale + 0.0  # −0 becomes 0


def _clean_mesh(
    vertices: np.ndarray, faces: np.ndarray, scale: float, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each position once, the faces with area turned outside out, and which of them are sided."""
    if not len(faces):
        raise InputError(f"{what} is a mesh without faces")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
        raise InputError(
            f"{what} must have triangles as whole numbers of shape (n, 3), "
            f"got {faces.dtype} of shape {faces.shape}"
        )
    check_corners(what, vertices, faces)
    vertices = _checked_positions(vertices, scale, what, "vertex")
    first, inverse = _first_of_equals(vertices)
    faces = first[inverse][faces.astype(np.int64)]
    triangles = vertices[faces]
    squares = np.square(triangles - np.roll(triangles, 1, axis=1)).sum(axis=2).max(axis=1)
    areas = np.linalg.norm(_area_vectors(triangles), axis=1)
    faces = faces[areas > _THINNEST * squares]
    if not len(faces):
        raise InputError(f"{what} is a mesh without area")
    used, faces = np.unique(faces, return_inverse=True)
    vertices, faces = vertices[used], faces.reshape(-1, 3)
    faces, sided = _outside_out(vertices, faces)
    return _frozen(vertices), _frozen(faces), _frozen(sided)


def _outside_out(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The faces counter-clockwise seen from outside, and of which that is known."""
    volumes = np.linalg.det(vertices[faces] - vertices.mean(axis=0))
    if _is_closed(faces):
        # One shell inside another is a cavity and stays inside out, so all are judged as one.
        return faces[:, ::-1] if volumes.sum() < 0 else faces, np.ones(len(faces), bool)
    heads, tails = faces, np.roll(faces, -1, axis=1)
    sides = (np.minimum(heads, tails) * len(vertices) + np.maximum(heads, tails)).reshape(-1)
    order = np.argsort(sides, kind="stable")
    _, first, number = np.unique(sides[order], return_index=True, return_counts=True)
    pairs = first[number == 2]
    # Two faces agree when they run through their common edge in opposite directions.
    face, forward = order // 3, (heads < tails).reshape(-1)[order]
    agreement = np.where(forward[pairs] != forward[pairs + 1], 1, -1)
    signs, pieces = propagate_signs(
        len(faces), face[pairs], face[pairs + 1], agreement, np.zeros(len(agreement))
    )
    if (number == 2).all():
        balance, sure = np.bincount(pieces, signs * volumes), np.ones(pieces.max() + 1, bool)
        turned = np.where(balance < 0, -1, 1)
    else:
        balance, cast = _views_of_the_sides(vertices, faces, signs, pieces)
        sure = np.abs(balance) > CONFIDENCE * cast
        as_given = np.where(np.bincount(pieces, signs) < 0, -1, 1)
        turned = np.where(sure, np.sign(balance).astype(np.int64), as_given)
    signs = signs * turned[pieces]
    return np.where(signs[:, None] < 0, faces[:, ::-1], faces), sure[pieces]


def _views_of_the_sides(
    vertices: np.ndarray, faces: np.ndarray, signs: np.ndarray, pieces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How much more the front of each piece sees of the surroundings than its back, and both.

    The sums, over directions in which a place on the piece sees past the mesh, of the cosine to
    the normal and of its size. Nothing is random, so that a mesh is always turned the same way.
    """
    triangles = vertices[faces]
    vectors = _area_vectors(triangles)
    areas = np.linalg.norm(vectors, axis=1)
    cumulative = np.cumsum(areas)
    index = np.arange(LOOKS) + 0.5
    face = _faces_at(cumulative, index / LOOKS * cumulative[-1])
    # Multiples of irrational numbers spread evenly (Kronecker's sequence).
    root, share = np.sqrt(index * math.sqrt(2) % 1), index * math.sqrt(3) % 1
    places = _on_triangles(triangles[face], root, share)
    normals = vectors[face] / areas[face, None] * signs[face, None]
    off = 1e-5 * float(np.linalg.norm(np.ptp(vertices, axis=0)))
    target = Target(vertices, faces)
    votes, cast = np.zeros(LOOKS), np.zeros(LOOKS)
    for direction in directions(LOOK_DIRECTIONS):
        cosine = normals @ direction
        starts = places + off * np.sign(cosine)[:, None] * normals
        free = ~target.is_hit(starts, np.tile(direction, (LOOKS, 1)))
        votes += free * cosine
        cast += free * np.abs(cosine)
    count = pieces.max() + 1
    return (
        np.bincount(pieces[face], votes, minlength=count),
        np.bincount(pieces[face], cast, minlength=count),
    )


def _faces_at(cumulative: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The faces in which the sum of areas passes these."""
    face = np.searchsorted(cumulative, areas, side="right")
    return np.minimum(face, len(cumulative) - 1)


def _on_triangles(triangles: np.ndarray, root: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A point on each triangle; uniform where the square of `root` and `share` are in [0, 1]."""
    weights = np.stack([1 - root, root * (1 - share), root * share], axis=1)
    return np.einsum("nk,nki->ni", weights, triangles)


def _first_of_equals(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each distinct row its first index, and for each row the number of its distinct row."""
    order = np.lexsort(rows.T)
    new = np.ones(len(rows), bool)
    new[1:] = (rows[order][1:] != rows[order][:-1]).any(axis=1)
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = np.cumsum(new) - 1
    return order[new], inverse  # lexsort is stable: the first of equals comes first


def _is_closed(faces: np.ndarray) -> bool:
    """Whether each edge is run through once in each direction: watertight, consistently wound."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    size = faces.max() + 1
    forth, back = edges @ [size, 1], edges @ [1, size]
    forth.sort()
    back.sort()
    return bool(np.array_equal(forth, back) and (forth[1:] != forth[:-1]).all())


def _area_vectors(triangles: np.ndarray) -> np.ndarray:
    """Outward normals times area, of (faces, 3, 3) triangles."""
    a, b, c = triangles.swapaxes(0, 1)
    return np.cross(b - a, c - a) / 2


def _content_hash(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


def _check_extent(loaded: Object, scale: float, otherwise: str = "") -> None:
    """Refuse a size that only a wrong unit explains, and name the units that would explain it."""
    longest = float(loaded.extent.max())
    if MINIMUM_EXTENT <= longest <= MAXIMUM_EXTENT:
        return
    sizes = {name: longest / loaded.scale * scale * metres for name, metres in UNITS.items()}
    likely = sorted(
        (name for name, size in sizes.items() if MINIMUM_EXTENT <= size <= 1),
        key=lambda name: abs(math.log(sizes[name] / TYPICAL_EXTENT)),
    )
    if likely:
        units = " or ".join(f"{name} ({sizes[name]:.2g} m)" for name in likely[:2])
        advice = f"its unit is likely {units}; give it, as --unit {likely[0]}"
    else:
        advice = "give the unit or the scale that turns its numbers into metres"
    raise InputError(
        f"{loaded.file} would be {longest:.3g} m long, expected {MINIMUM_EXTENT:g} to "
        f"{MAXIMUM_EXTENT:g} m: {advice}{otherwise}"
    )


def _check_parts(loaded: Object) -> None:
    """Refuse parts that cannot be those of the mesh, as when only one of both files was changed."""
    if loaded.parts is None or loaded.file is None:
        return
    vertices = np.vstack([vertices for vertices, _ in loaded.parts])
    bounds = np.stack([vertices.min(axis=0), vertices.max(axis=0)])
    off, longest = float(np.abs(bounds - loaded.bounds).max()), float(loaded.extent.max())
    if not off <= PARTS_WITHIN * longest:
        raise InputError(
            f"the parts in {_sidecar(Path(loaded.file))} are not those of {loaded.file}: their "
            f"bounds differ by {off:.3g} m for a mesh {longest:.3g} m long, expected at most "
            f"{PARTS_WITHIN:.0%} of that"
        )
