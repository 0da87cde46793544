"""Pictures: clouds and meshes by ray casting, and training curves; no display, no GPU, no GL.

A picture is a `uint8` array `(height, width, 3)` in sRGB; `save_png` writes it. `render` draws
parts (`Spheres`, `Mesh`) as a `Camera` sees them under a `Light`; `frame` places a camera so that
the parts fill the picture; `draw_clouds` draws a sheet of clouds, `draw_curves` training curves.

Lengths are in the unit of the parts, angles in degrees, colours sRGB in [0, 1]. A picture is a
function of its arguments alone: light is sampled by a low-discrepancy sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import ceil, cos, isfinite, pi, radians, sin, sqrt, tan
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pcdiff.errors import InputError
from pcdiff.files import atomic_write

Image: TypeAlias = UInt8[np.ndarray, "height width 3"]
Vector: TypeAlias = tuple[float, float, float]
Colour: TypeAlias = np.ndarray | Vector

TINT: Vector = (0.40, 0.60, 0.80)
"""The sober blue of a part that is given no colour."""

RAMP: tuple[Vector, ...] = (
    (0.15, 0.31, 0.60),
    (0.14, 0.50, 0.73),
    (0.36, 0.71, 0.76),
    (0.76, 0.90, 0.80),
)
"""The colours of a cloud from its lowest to its highest point, darker to lighter."""

CURVE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Curves' colours, told apart by colour-blind readers too (Okabe & Ito 2008)."""

THREE_QUARTER_VIEW: Vector = (-0.6, 0.5, 1.0)
"""From a y-up object towards the camera: its front, from a little aside and above."""


# ------------------------------------------------------------------ what is drawn, and from where


@dataclass(frozen=True, eq=False)
class Spheres:
    """Equal spheres: the way a point cloud is drawn.

    Args:
        centres: `(n, 3)`, n >= 1.
        radius: Positive.
        colour: One sRGB colour `(3,)`, or one a sphere `(n, 3)`, in [0, 1].

    Raises:
        InputError: A wrong shape, a number that is not finite, or a radius or colour out of range.
    """

    centres: np.ndarray
    radius: float
    colour: Colour = TINT

    def __post_init__(self) -> None:
        _check_points(self.centres, "the centres of spheres")
        _check_colour(self.colour, len(self.centres), "spheres")
        if not (isfinite(self.radius) and self.radius > 0):
            raise InputError(f"the radius of spheres must be a positive number, got {self.radius}")


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh with flat faces, seen from both sides.

    Args:
        vertices: `(v, 3)`, v >= 1.
        faces: `(f, 3)` integers, the indices of each triangle's vertices, f >= 1.
        colour: One sRGB colour `(3,)`, or one a face `(f, 3)`, in [0, 1].

    Raises:
        InputError: A wrong shape, a number that is not finite, or an index or colour out of range.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colour: Colour = TINT

    def __post_init__(self) -> None:
        _check_points(self.vertices, "the vertices of a mesh")
        shape, kind = self.faces.shape, self.faces.dtype
        if len(shape) != 2 or shape[1] != 3 or shape[0] == 0 or kind.kind not in "iu":
            raise InputError(
                "the faces of a mesh must be integers of shape (f, 3) with f >= 1, "
                f"got {kind} of shape {shape}"
            )
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise InputError(
                f"the faces of a mesh must be indices of its {len(self.vertices)} vertices, "
                f"got indices from {self.faces.min()} to {self.faces.max()}"
            )
        _check_colour(self.colour, len(self.faces), "a mesh")


Part: TypeAlias = Spheres | Mesh


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Args:
        position: The pinhole.
        target: A point that is seen in the middle of the picture.
        up: What is upright in the picture; also the normal of the ground.
        field_of_view: The vertical opening angle, degrees, in (0, 180).

    Raises:
        InputError: The numbers define no view.
    """

    position: Vector
    target: Vector
    up: Vector = (0.0, 1.0, 0.0)
    field_of_view: float = 20.0

    def __post_init__(self) -> None:
        _check_field_of_view(self.field_of_view)
        _camera_axes(np.subtract(self.position, self.target), self.up)

    @property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Unit vectors, a row each: to the right, upwards in the picture, towards the viewer."""
        return _camera_axes(np.subtract(self.position, self.target), self.up)


@dataclass(frozen=True)
class Light:
    """A round lamp, which casts shadows with soft edges, under a white sky.

    A white surface that receives 1 is drawn white.

    Args:
        azimuth: Of the lamp, degrees to the right of the camera as the object's viewer sees it.
        elevation: Of the lamp above the ground, degrees.
        spread: Half the angle under which the lamp is seen, degrees; wider is softer.
        lamp: What a surface that faces the lamp receives from it.
        sky: What a surface with the sky's zenith all around would receive.
        floor: The brightness of what is below the horizon, relative to the zenith.
    """

    azimuth: float = -35.0
    elevation: float = 68.0
    spread: float = 14.0
    lamp: float = 0.6
    sky: float = 0.6
    floor: float = 0.5


def frame(
    parts: Sequence[Part],
    direction: Vector = THREE_QUARTER_VIEW,
    *,
    up: Vector = (0.0, 1.0, 0.0),
    field_of_view: float = 20.0,
    aspect: float = 1.0,
    margin: float = 0.07,
) -> Camera:
    """The nearest camera on the given side that sees all of the parts, in the middle.

    In camera axes, with t the tangent of half the opening angle, a camera at (c, d) sees the point
    (x, z) when |x - c| <= (d - z) t. For all points at once, this is max(x + z t) <= c + d t and
    max(-x + z t) <= -c + d t: half the difference of the two is the middle c, half their sum is the
    least d t. A sphere of radius r adds r sqrt(1 + t^2) to either.

    Args:
        parts: What is to be seen, at least one.
        direction: From the parts to the camera, of any length.
        up: What is upright in the picture.
        field_of_view: The vertical opening angle, degrees.
        aspect: The picture's width over its height.
        margin: The share of the picture that stays free on each side, in [0, 0.5).

    Returns:
        The camera.

    Raises:
        InputError: No parts, a margin or an aspect out of range, or no view (see `Camera`).
    """
    if not parts:
        raise InputError("a picture needs at least one part to draw, got none")
    if not (0 <= margin < 0.5 and 0 < aspect < np.inf):
        raise InputError(
            "a picture needs a margin in [0, 0.5) and a positive aspect, "
            f"got a margin of {margin} and an aspect of {aspect}"
        )
    _check_field_of_view(field_of_view)
    axes = _camera_axes(np.asarray(direction, dtype=np.float64), up)
    points = np.concatenate([_points(part) for part in parts]) @ axes.T
    radii = np.concatenate([np.full(len(_points(part)), _radius(part)) for part in parts])
    half_height = tan(radians(field_of_view) / 2) * (1 - 2 * margin)
    middle, depth = points.mean(axis=0), -np.inf
    for axis, slope in ((0, half_height * aspect), (1, half_height)):
        outline = points[:, 2] * slope + radii * sqrt(1 + slope**2)
        after, before = np.max(outline + points[:, axis]), np.max(outline - points[:, axis])
        middle[axis] = (after - before) / 2
        depth = max(depth, (after + before) / (2 * slope))
    position = np.array([middle[0], middle[1], depth])
    x, y, z = (position @ axes).tolist()
    u, v, w = (middle @ axes).tolist()
    return Camera((x, y, z), (u, v, w), up, field_of_view)


# ------------------------------------------------------------------------------------- rendering

_PIXELS_AT_ONCE = 1 << 17  # a bound on memory
_LAMP_RAYS, _SKY_RAYS = 2, 6  # for each sample of a pixel
_WINDOW = 5  # pixels; see `render`
_FADING = 0.12  # how far from the picture's edge shadows fade, of its shorter side
_SKY_REACH = 0.4  # how far a part keeps the sky away, of the scene's size
_CLEARANCE = 1e-5  # from a surface to where rays leave it, of the scene's size
_TOLERATED_PIXELS = 0.25  # from a sphere's outline to the circle
_FINEST_SUBDIVISION = 6  # 82 thousand faces


def render(
    parts: Sequence[Part],
    camera: Camera,
    *,
    width: int,
    height: int,
    samples: int = 4,
    light: Light | None = None,
    ground: bool = True,
) -> Image:
    """Draw parts on white, matt, with soft shadows, by ray casting.

    Under the lowest point of the parts lies a white ground that shows nothing but shadows: where
    nothing keeps the light away it is as white as the background, so it has no horizon.

    The sky and the lamp are sampled by few rays, other ones at each pixel of a window of 5 x 5; on
    the ground the mean over a window then makes one smooth shadow of them (interleaved sampling,
    Keller & Heidrich 2001).

    Args:
        parts: What is drawn, at least one.
        camera: From where.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        samples: Rays through each pixel: more make edges smoother and shadows less grainy.
        light: `Light()` unless given.
        ground: Whether there is a ground.

    Returns:
        The picture `(height, width, 3)`.

    Raises:
        InputError: No parts, or a size or a number of samples below 1.
    """
    if not parts:
        raise InputError("a picture needs at least one part to draw, got none")
    if min(width, height, samples) < 1:
        raise InputError(
            "a picture needs a width, a height and samples of at least 1, "
            f"got {width} x {height} with {samples} samples"
        )
    from scipy.ndimage import uniform_filter

    scene = _Scene(parts, camera, height, light or Light(), ground)
    right, upward, backward = camera.axes
    half_height = tan(radians(camera.field_of_view) / 2)
    # Sums over the samples of each pixel: the parts' colour, the samples that miss the parts, and
    # the light on the ground, as it is and as it would be without the parts.
    colour, white = np.zeros((height, width, 3)), np.full((height, width), float(samples))
    received, offered = np.zeros((height, width)), np.zeros((height, width))
    rows_at_once = max(1, _PIXELS_AT_ONCE // width)
    for top in range(0, height, rows_at_once):
        row, column = np.mgrid[top : min(top + rows_at_once, height), :width].reshape(2, -1)
        shift = np.stack([row, column], axis=1) % _WINDOW / _WINDOW
        for sample in range(samples):
            inside = _low_discrepancy(sample)
            x = (2 * (column + inside[0]) - width) / height * half_height
            y = (height - 2 * (row + inside[1])) / height * half_height
            rays = x[:, None] * right + y[:, None] * upward - backward
            on_parts, on_ground = scene.cast(rays)

            pixels = row[on_parts.rays], column[on_parts.rays]
            light_on_parts, _ = scene.light_on(on_parts, shift[on_parts.rays], sample)
            colour[pixels] += on_parts.albedo * light_on_parts[:, None]
            white[pixels] -= 1

            pixels = row[on_ground.rays], column[on_ground.rays]
            with_parts, without = scene.light_on(on_ground, shift[on_ground.rays], sample)
            received[pixels] += with_parts
            offered[pixels] += without
    shadow = np.divide(
        uniform_filter(received, _WINDOW, mode="constant"),
        uniform_filter(offered, _WINDOW, mode="constant"),
        out=np.ones_like(received),
        where=offered > 0,
    )
    linear = (colour + (white * _faded(shadow))[:, :, None]) / samples
    return np.round(255 * _encode(linear)).astype(np.uint8)


def _faded(shadow: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """A shadow that ends before the picture does, so that a sheet of pictures has no seams."""
    height, width = shadow.shape
    row, column = np.mgrid[0.5:height, 0.5:width]
    edge = np.minimum(np.minimum(row, height - row), np.minimum(column, width - column))
    share = np.minimum(edge / (_FADING * min(height, width)), 1)
    return 1 - (1 - shadow) * share**2 * (3 - 2 * share)


@dataclass(frozen=True, eq=False)
class _Triangles:
    """A part as triangles, with what shading needs to know of each.

    A face of a sphere has the sphere's centre, and the radius of a shell that contains all of that
    sphere's faces; a flat face has the radius 0.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    albedo: Float[np.ndarray, "faces 3"]
    centres: Float[np.ndarray, "faces 3"]
    shells: Float[np.ndarray, " faces"]


def _flat_triangles(mesh: Mesh) -> _Triangles:
    count = len(mesh.faces)
    colour = np.broadcast_to(np.asarray(mesh.colour, dtype=np.float64), (count, 3))
    return _Triangles(
        vertices=mesh.vertices.astype(np.float64),
        faces=mesh.faces.astype(np.int64),
        albedo=_decode(colour),
        centres=np.zeros((count, 3)),
        shells=np.zeros(count),
    )


def _sphere_triangles(spheres: Spheres, pixels: float) -> _Triangles:
    """Geodesic polyhedra, just fine enough for spheres whose radius is so many pixels.

    By Cauchy's formula the mean area of a convex body's shadows is a quarter of its surface, so a
    polyhedron with the sphere's surface covers as many pixels as the sphere does, on average.
    """
    from trimesh.creation import icosphere

    # An icosahedron's edge is seen from its centre under 63.4 degrees; a subdivision halves that.
    subdivisions = 0
    while (
        subdivisions < _FINEST_SUBDIVISION
        and pixels * (1 - cos(radians(63.4) / 2 ** (subdivisions + 1))) > _TOLERATED_PIXELS
    ):
        subdivisions += 1
    ball = icosphere(subdivisions=subdivisions)
    shell = spheres.radius * sqrt(4 * pi / ball.area)
    count, corners, sides = len(spheres.centres), len(ball.vertices), len(ball.faces)
    centres = spheres.centres.astype(np.float64)
    colour = np.broadcast_to(np.asarray(spheres.colour, dtype=np.float64), (count, 3))
    return _Triangles(
        vertices=(centres[:, None] + shell * ball.vertices).reshape(-1, 3),
        faces=(corners * np.arange(count)[:, None, None] + ball.faces).reshape(-1, 3),
        albedo=np.repeat(_decode(colour), sides, axis=0),
        centres=np.repeat(centres, sides, axis=0),
        shells=np.full(count * sides, shell),
    )


class _Hits(NamedTuple):
    """Where some of the rays meet a surface."""

    rays: Int[np.ndarray, " hits"]
    points: Float[np.ndarray, "hits 3"]
    normals: Float[np.ndarray, "hits 3"]
    albedo: Float[np.ndarray, "hits 3"]


class _Scene:
    """The parts as one set of triangles at which rays are cast from the camera, and their light."""

    def __init__(
        self, parts: Sequence[Part], camera: Camera, height: int, light: Light, ground: bool
    ) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        position = np.array(camera.position)
        right, _, backward = camera.axes
        pixels_at_unit_depth = height / (2 * tan(radians(camera.field_of_view) / 2))
        pieces = []
        for part in parts:
            if isinstance(part, Mesh):
                pieces.append(_flat_triangles(part))
            else:
                depth = max(np.min((position - part.centres) @ backward), part.radius)
                pieces.append(_sphere_triangles(part, pixels_at_unit_depth * part.radius / depth))
        vertices = np.concatenate([piece.vertices for piece in pieces])
        firsts = np.cumsum([0] + [len(piece.vertices) for piece in pieces[:-1]])
        faces = [piece.faces + first for piece, first in zip(pieces, firsts, strict=True)]
        self.albedo = np.concatenate([piece.albedo for piece in pieces])
        self.shells = np.concatenate([piece.shells for piece in pieces])

        # Rays are cast in float32, so lengths are measured from the middle of the scene.
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        self.centres = np.concatenate([piece.centres for piece in pieces]) - middle
        self.camera = position - middle
        size = float(np.ptp(vertices, axis=0).max())
        self.clearance = _CLEARANCE * size
        self.sky_reach = _SKY_REACH * size
        self.embree = EmbreeScene()
        TriangleMesh(
            scene=self.embree,
            vertices=(vertices - middle).astype(np.float32),
            indices=np.concatenate(faces).astype(np.int32),
        )

        self.up = np.array(camera.up) / np.linalg.norm(camera.up)
        lowest = min(np.min((_points(part) - middle) @ self.up) - _radius(part) for part in parts)
        self.ground = lowest if ground else -np.inf

        self.light = light
        azimuth, elevation = radians(light.azimuth), radians(light.elevation)
        level = sin(azimuth) * right + cos(azimuth) * np.cross(right, self.up)
        self.to_lamp = cos(elevation) * level + sin(elevation) * self.up

    def cast(self, rays: Float[np.ndarray, "rays 3"]) -> tuple[_Hits, _Hits]:
        """Where rays from the camera meet the parts, and where the others meet the ground."""
        origins = np.broadcast_to(self.camera.astype(np.float32), rays.shape)
        found = self.embree.run(origins, rays.astype(np.float32), output=True)
        missed = found["primID"] < 0

        (seen,) = np.nonzero(~missed)
        face = found["primID"][seen]
        points = self.camera + found["tfar"][seen, None] * rays[seen]
        across = found["Ng"][seen].astype(np.float64)
        across *= -np.sign(np.sum(across * rays[seen], axis=1, keepdims=True))
        centres, shells = self.centres[face], self.shells[face, None]
        normals = _unit(np.where(shells > 0, points - centres, across))
        points = np.where(shells > 0, centres + shells * normals, points)
        on_parts = _Hits(seen, points, normals, self.albedo[face])

        drop, height = -(rays @ self.up), self.camera @ self.up - self.ground
        (seen,) = np.nonzero(missed & (drop > 0) & (0 < height < np.inf))
        points = self.camera + (height / drop[seen])[:, None] * rays[seen]
        normals = np.broadcast_to(self.up, points.shape)
        return on_parts, _Hits(seen, points, normals, np.ones_like(points))

    def light_on(
        self, hits: _Hits, shift: Float[np.ndarray, "hits 2"], sample: int
    ) -> tuple[Float[np.ndarray, " hits"], Float[np.ndarray, " hits"]]:
        """The light that matt surfaces receive, and what they would if nothing stood in the way.

        The normal plus a random point of the unit sphere is a random direction that weighs the sky
        as a matt surface does, by the cosine; the direction to the lamp plus a random point of a
        small sphere is a direction to a round lamp.
        """
        light = self.light
        origins = hits.points + self.clearance * hits.normals
        received, offered = np.zeros(len(origins)), np.zeros(len(origins))
        for ray in range(_SKY_RAYS):
            ball = _on_sphere(_low_discrepancy(sample * _SKY_RAYS + ray) + shift)
            rays = _unit(hits.normals + 0.999 * ball)  # a little less than 1: never the null vector
            share = light.floor + (1 - light.floor) * (1 + rays @ self.up) / 2
            gain = light.sky * share / _SKY_RAYS
            offered += gain
            received += gain * self.free(origins, rays, self.sky_reach)
        for ray in range(_LAMP_RAYS):
            ball = _on_sphere(_low_discrepancy(sample * _LAMP_RAYS + ray) + shift)
            rays = _unit(self.to_lamp + sin(radians(light.spread)) * ball)
            cosine = np.maximum(np.sum(hits.normals * rays, axis=1), 0)
            gain = light.lamp * cosine / _LAMP_RAYS
            offered += gain
            received += gain * self.free(origins, rays, np.inf)
        return received, offered

    def free(
        self,
        origins: Float[np.ndarray, "rays 3"],
        rays: Float[np.ndarray, "rays 3"],
        reach: float,
    ) -> Bool[np.ndarray, " rays"]:
        """Whether unit rays hit nothing within a reach."""
        origins, rays = origins.astype(np.float32), rays.astype(np.float32)
        return self.embree.run(origins, rays, dists=min(reach, 1e30), query="OCCLUDED") < 0


# Martin Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018): the sequence R2,
# n (1/g, 1/g^2) mod 1 with g^3 = g + 1.
_R2 = np.array([0.7548776662466927, 0.5698402909980532])


def _low_discrepancy(index: int) -> Float[np.ndarray, "2"]:
    return (0.5 + index * _R2) % 1


def _on_sphere(uniform: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 3"]:
    """Points uniform on the unit sphere, from points uniform modulo 1 (Archimedes' projection)."""
    z = 1 - 2 * (uniform[:, 0] % 1)
    angle = 2 * pi * uniform[:, 1]
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _unit(vectors: Float[np.ndarray, "vectors 3"]) -> Float[np.ndarray, "vectors 3"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _decode(colour: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """SRGB to linear (IEC 61966-2-1)."""
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def _encode(light: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """Linear to sRGB (IEC 61966-2-1); what is brighter than white is white."""
    light = np.minimum(light, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


# --------------------------------------------------------------------------------------- figures


def height_colours(points: np.ndarray, up: Literal["y", "z"] = "y") -> np.ndarray:
    """Colour points by their height, along `RAMP`.

    Args:
        points: `(n, 3)`, n >= 1.
        up: The upward axis.

    Returns:
        An sRGB colour a point, `(n, 3)`.

    Raises:
        InputError: A wrong shape, or a number that is not finite.
    """
    _check_points(points, "the points to colour")
    height = points[:, "xyz".index(up)].astype(np.float64)
    share = (height - height.min()) / (np.ptp(height) or 1.0)
    knots = np.linspace(0, 1, len(RAMP))
    return np.stack(
        [np.interp(share, knots, channel) for channel in zip(*RAMP, strict=True)], axis=1
    )


def draw_clouds(
    clouds: Sequence[np.ndarray] | np.ndarray,
    *,
    columns: int = 4,
    labels: Sequence[str] | None = None,
    size: int = 300,
    up: Literal["y", "z"] = "y",
    colours: Sequence[Colour] | None = None,
    direction: Vector = THREE_QUARTER_VIEW,
    samples: int = 4,
) -> Image:
    """Draw a sheet of point clouds, row by row, each filling its own square tile.

    A point is a sphere whose radius is 0.7 n^(-1/2) of the cloud's longest side: n points on a
    surface are about n^(-1/2) apart, so neighbours overlap a little at any number of points.

    Args:
        clouds: One or more clouds `(n, 3)`, n >= 1, of any scale.
        columns: Tiles in a row, at most.
        labels: A caption under each cloud.
        size: Width and height of a tile, pixels.
        up: The clouds' upward axis. A z-up cloud is drawn as its y-up copy (x, z, -y) would be.
        colours: For each cloud one sRGB colour `(3,)`, or one a point `(n, 3)`;
            `height_colours` unless given.
        direction: From the cloud to the camera, in y-up axes.
        samples: As in `render`.

    Returns:
        The sheet.

    Raises:
        InputError: No clouds, a cloud of a wrong shape or with a number that is not finite, another
            number of labels or colours than of clouds, or a size or columns below 1.
    """
    if len(clouds) == 0:
        raise InputError("a sheet needs at least one cloud, got none")
    if up not in ("y", "z"):
        raise InputError(f"the upward axis of a cloud must be y or z, got {up}")
    if columns < 1:
        raise InputError(f"a sheet needs at least one column, got {columns}")
    for name, given in (("labels", labels), ("colours", colours)):
        if given is not None and len(given) != len(clouds):
            raise InputError(
                f"a sheet of {len(clouds)} clouds needs as many {name}, got {len(given)}"
            )
    for index, cloud in enumerate(clouds):
        _check_points(cloud, f"cloud {index}")
    tiles = []
    for index, cloud in enumerate(clouds):
        points = cloud.astype(np.float64)
        if up == "z":
            points = points[:, [0, 2, 1]] * [1, 1, -1]
        longest = float(np.ptp(points, axis=0).max()) or 1.0
        colour = height_colours(points) if colours is None else colours[index]
        spheres = Spheres(points, 0.7 * longest / sqrt(len(cloud)), colour)
        camera = frame([spheres], direction)
        tile = render([spheres], camera, width=size, height=size, samples=samples)
        tiles.append(tile if labels is None else np.vstack([tile, _caption(labels[index], size)]))
    columns = min(columns, len(tiles))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    return np.vstack(rows)


def _caption(text: str, width: int) -> Image:
    from PIL import Image as pillow
    from PIL import ImageDraw, ImageFont

    text = " ".join(text.split())
    height = max(ceil(0.11 * width), 12)
    strip = pillow.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(strip)
    size = 0.55 * height
    length = draw.textlength(text, font=ImageFont.load_default(size))
    font = ImageFont.load_default(size * min(1, 0.92 * width / max(length, 1)))
    draw.text((width / 2, height / 2), text, fill=(60, 60, 60), font=font, anchor="mm")
    return np.asarray(strip)


class Panel(NamedTuple):
    """One diagram of training curves.

    Args:
        columns: The columns of the metrics log that it shows.
        scale: Of its vertical axis; None is logarithmic if all numbers are positive, else linear.
    """

    columns: tuple[str, ...]
    scale: Literal["log", "linear"] | None = None


LOSS_AND_RATE = (Panel(("train_loss", "validation_loss")), Panel(("learning_rate",), "linear"))
"""The panels of a training run."""


def draw_curves(
    rows: Iterable[Mapping[str, Any]],
    *,
    panels: Sequence[Panel] = LOSS_AND_RATE,
    width: int = 1200,
    height: int = 450,
) -> Image:
    """Draw training curves over the column `step`, one panel beside the other.

    Args:
        rows: The metrics log as `csv.DictReader` gives it: cells are numbers or their text. An
            empty cell, None, NaN or an infinity is no point of a curve; lines join the points.
        panels: What is drawn. A column without points is left out, as is a panel of such columns.
        width: Of the picture, pixels.
        height: Of the picture, pixels.

    Returns:
        The picture.

    Raises:
        InputError: There is nothing to draw, a step is missing, a cell is no number, a logarithmic
            axis is asked to show a number that is not positive, or matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "drawing curves needs matplotlib, which is not installed: install pcdiff-grasp[curves]"
        ) from error

    rows = list(rows)
    steps = _column(rows, "step")
    if not np.isfinite(steps).all():
        raise InputError(
            "each row of a metrics log needs a number in the column step, "
            f"got none in row {int(np.argmin(np.isfinite(steps))) + 1}"
        )
    drawn = []
    for panel in panels:
        curves = {name: _column(rows, name) for name in panel.columns}
        curves = {name: values for name, values in curves.items() if np.isfinite(values).any()}
        if curves:
            drawn.append((curves, panel.scale))
    if not drawn:
        names = ", ".join(name for panel in panels for name in panel.columns)
        raise InputError(f"a metrics log needs numbers in at least one of {names}, got none")

    dpi = 150
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (curves, scale) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        lowest, name = min((np.nanmin(values), name) for name, values in curves.items())
        if scale == "log" and lowest <= 0:
            raise InputError(
                f"a logarithmic axis shows positive numbers only, got {lowest} in {name}"
            )
        axes.set_yscale(scale or ("log" if lowest > 0 else "linear"))
        for (name, values), colour in zip(curves.items(), cycle(CURVE_COLOURS), strict=False):
            there = np.isfinite(values)
            few = np.count_nonzero(there) <= 40
            axes.plot(
                steps[there],
                values[there],
                color=colour,
                linewidth=1.5,
                marker="o" if few else "",
                markersize=3.5,
                label=name.replace("_", " "),
            )
        axes.set_xlabel("step")
        axes.grid(visible=True, which="major", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        # Above the curves, where it hides none of them.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(curves), frameon=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Float[np.ndarray, " rows"]:
    """The finite numbers of a column; NaN where there is none."""
    values = np.full(len(rows), np.nan)
    for index, row in enumerate(rows):
        cell = row.get(name)
        if cell is None or cell == "":
            continue
        try:
            number = float(cell)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the column {name} of a metrics log must hold numbers, "
                f"got {cell!r} in row {index + 1}"
            ) from error
        if isfinite(number):
            values[index] = number
    return values


def save_png(path: str | Path, image: Image) -> None:
    """Write a picture as a PNG file, completely or not at all.

    Args:
        path: The file to write.
        image: The picture.

    Raises:
        InputError: The path does not end in .png, or cannot be written.
    """
    from PIL import Image as pillow

    if Path(path).suffix.lower() != ".png":
        raise InputError(f"a picture is written to a file that ends in .png, got {path}")
    with atomic_write(path) as temporary:
        pillow.fromarray(image).save(temporary, format="PNG")


# ---------------------------------------------------------------------------------------- checks


def _points(part: Part) -> np.ndarray:
    return part.vertices if isinstance(part, Mesh) else part.centres


def _radius(part: Part) -> float:
    return 0.0 if isinstance(part, Mesh) else part.radius


def _check_points(points: np.ndarray, name: str) -> None:
    if (
        points.ndim != 2
        or points.shape[1] != 3
        or len(points) == 0
        or points.dtype.kind not in "fiu"
    ):
        raise InputError(
            f"{name} must be numbers of shape (n, 3) with n >= 1, "
            f"got {points.dtype} of shape {points.shape}"
        )
    if not np.isfinite(points).all():
        raise InputError(f"{name} must be finite, got a NaN or an infinity")


def _check_colour(colour: Colour, count: int, name: str) -> None:
    values = np.asarray(colour)
    if values.shape not in ((3,), (count, 3)):
        raise InputError(
            f"the colour of {name} must have the shape (3,) or ({count}, 3), got {values.shape}"
        )
    if not np.all((values >= 0) & (values <= 1)):
        raise InputError(
            f"the colour of {name} must be sRGB in [0, 1], got {values.min()} to {values.max()}"
        )


def _check_field_of_view(angle: float) -> None:
    if not 0 < angle < 180:
        raise InputError(f"a camera's field of view must be between 0 and 180 degrees, got {angle}")


def _camera_axes(backward: np.ndarray, up: Vector) -> Float[np.ndarray, "3 3"]:
    """Orthonormal rows: right, upward, backward."""
    right = np.cross(up, backward)
    sizes = np.linalg.norm(up) * np.linalg.norm(backward)
    if not np.linalg.norm(right) > 1e-6 * sizes:
        raise InputError(
            "a camera must look at a point other than its own, not along its upward direction, "
            f"got the view {tuple(-backward)} with {up} up"
        )
    right = right / np.linalg.norm(right)
    backward = backward / np.linalg.norm(backward)
    return np.stack([right, np.cross(backward, right), backward])
