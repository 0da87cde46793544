"""Ray casting of matt surfaces with soft shadows, without a display, a GPU or OpenGL.

A picture is a `uint8` array `(height, width, 3)` in sRGB. Equal arguments give equal pictures,
because the ray directions come from a low-discrepancy sequence, not from random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, radians, sin, sqrt, tan
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pcdiff.drawing.camera import Camera, Light
from pcdiff.drawing.parts import Image, Mesh, Part, Spheres, part_points, part_radius
from pcdiff.errors import InputError
from pcdiff.geometry.rays import ray_caster

PIXELS_AT_ONCE = 1 << 17
"""Number of pixels whose rays are cast together, to limit memory."""

_LAMP_RAYS, _SKY_RAYS = 2, 6  # rays to the lamp and to the sky, per camera ray
_WINDOW = 5  # width in pixels of the window that `render` averages shadows over
_FADING = 0.12  # width of the border in which shadows fade, relative to the picture's shorter side
_SKY_REACH = 0.4  # distance up to which a part hides the sky, relative to the scene's size
_CLEARANCE = 1e-5  # distance of a ray's origin from its surface, relative to the scene's size
_TOLERATED_PIXELS = 0.25  # largest deviation of a sphere's outline from a circle, in pixels
_FINEST_SUBDIVISION = 6  # subdivisions of an icosahedron; 6 of them give 82 thousand faces


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
    """Draw matt parts with soft shadows on a white background.

    A white ground touches the lowest point of the parts. Only the shadows on the ground are
    visible: elsewhere the ground is as white as the background, so the picture has no horizon.

    A few rays from each visible point test whether the sky and the lamp are visible. The directions
    of these rays differ between the pixels of a 5 × 5 window. On the ground, the mean over the
    window gives smooth shadows (interleaved sampling, Keller & Heidrich 2001).

    Args:
        parts: Parts to draw, at least one.
        camera: The camera.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        samples: Number of rays per pixel. More rays make edges smoother and shadows less grainy.
        light: The light. None means `Light()`.
        ground: True to draw the shadows on the ground.

    Returns:
        The picture `(height, width, 3)`.

    Raises:
        InputError: If there are no parts, or a size or the number of samples is below 1.
    """
    if not parts:
        raise InputError("a picture needs at least one part to draw, got none")
    if min(width, height, samples) < 1:
        raise InputError(
            "the width, the height and the samples of a picture must be at least 1, "
            f"got {width} x {height} pixels and {samples} samples"
        )
    from scipy.ndimage import uniform_filter

    scene = _Scene(parts, camera, height, light or Light(), ground)
    right, upward, backward = camera.axes
    half_height = tan(radians(camera.field_of_view) / 2)
    # Sums over the samples of each pixel: the colour of the parts, the number of samples that miss
    # the parts, and the light that the ground receives with and without the parts.
    colour, white = np.zeros((height, width, 3)), np.full((height, width), float(samples))
    received, offered = np.zeros((height, width)), np.zeros((height, width))
    rows_at_once = max(1, PIXELS_AT_ONCE // width)
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
    """Fade out a shadow towards the edge of the picture, so that a grid has no visible seams."""
    height, width = shadow.shape
    row, column = np.mgrid[0.5:height, 0.5:width]
    edge = np.minimum(np.minimum(row, height - row), np.minimum(column, width - column))
    share = np.minimum(edge / (_FADING * min(height, width)), 1)
    return 1 - (1 - shadow) * share**2 * (3 - 2 * share)


@dataclass(frozen=True, eq=False)
class _Triangles:
    """The triangles of a part, and the data for shading each triangle.

    For a triangle of a sphere, `centres` is the centre of the sphere, and `shells` is the distance
    from this centre to each vertex of the polyhedron. For a triangle of a mesh, both are 0.
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
    """Geodesic polyhedra just fine enough to look round; `pixels` is a sphere's radius in pixels.

    By Cauchy's formula, the mean projected area of a convex body is a quarter of its surface area.
    A polyhedron with the surface area of the sphere therefore covers as many pixels as the sphere
    on average.
    """
    from trimesh.creation import icosphere

    # Seen from the centre, an edge of an icosahedron spans 63.4 degrees; a subdivision halves it.
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
    """The points where rays meet a surface; `rays` contains the indices of these rays."""

    rays: Int[np.ndarray, " hits"]
    points: Float[np.ndarray, "hits 3"]
    normals: Float[np.ndarray, "hits 3"]
    albedo: Float[np.ndarray, "hits 3"]


class _Scene:
    """All parts as one set of triangles, seen by a camera under a light."""

    def __init__(
        self, parts: Sequence[Part], camera: Camera, height: int, light: Light, ground: bool
    ) -> None:
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

        # Rays are cast in float32, so coordinates are relative to the middle of the scene.
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        self.centres = np.concatenate([piece.centres for piece in pieces]) - middle
        self.camera = position - middle
        size = float(np.ptp(vertices, axis=0).max())
        self.clearance = _CLEARANCE * size
        self.sky_reach = _SKY_REACH * size
        self.caster = ray_caster(vertices - middle, np.concatenate(faces))

        self.up = np.array(camera.up) / np.linalg.norm(camera.up)
        lowest = min(
            np.min((part_points(part) - middle) @ self.up) - part_radius(part) for part in parts
        )
        self.ground = lowest if ground else -np.inf

        self.light = light
        azimuth, elevation = radians(light.azimuth), radians(light.elevation)
        level = sin(azimuth) * right + cos(azimuth) * np.cross(right, self.up)
        self.to_lamp = cos(elevation) * level + sin(elevation) * self.up

    def cast(self, rays: Float[np.ndarray, "rays 3"]) -> tuple[_Hits, _Hits]:
        """Find where camera rays meet the parts, and where the remaining rays meet the ground."""
        found = self.caster.first(np.broadcast_to(self.camera, rays.shape), rays)
        missed = found.face < 0

        (seen,) = np.nonzero(~missed)
        face = found.face[seen]
        points = self.camera + found.distance[seen, None] * rays[seen]
        across = found.normal[seen]
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
        """Compute the light that matt surfaces receive, with and without the shadows of the parts.

        The surface normal plus a random point on the unit sphere is a random direction. Its density
        is proportional to the cosine of the angle to the surface normal, which is the weight of the
        sky on a matt surface. The direction to the centre of the lamp plus a random point on a
        small sphere is a direction to a point of the round lamp.
        """
        light = self.light
        origins = hits.points + self.clearance * hits.normals
        received, offered = np.zeros(len(origins)), np.zeros(len(origins))
        for ray in range(_SKY_RAYS):
            ball = _on_sphere(_low_discrepancy(sample * _SKY_RAYS + ray) + shift)
            rays = _unit(hits.normals + 0.999 * ball)  # less than 1, so that the sum is never 0
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
        """Test whether each ray (a unit vector) meets no surface within the distance `reach`."""
        return ~self.caster.is_blocked(origins, rays, reach)


# Martin Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018): the sequence R2,
# n (1/g, 1/g^2) mod 1 with g^3 = g + 1.
_R2 = np.array([0.7548776662466927, 0.5698402909980532])


def _low_discrepancy(index: int) -> Float[np.ndarray, "2"]:
    return (0.5 + index * _R2) % 1


def _on_sphere(uniform: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 3"]:
    """Map uniform points modulo 1 to uniform points on the unit sphere (Archimedes' projection)."""
    z = 1 - 2 * (uniform[:, 0] % 1)
    angle = 2 * pi * uniform[:, 1]
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _unit(vectors: Float[np.ndarray, "vectors 3"]) -> Float[np.ndarray, "vectors 3"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _decode(colour: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """Convert sRGB to linear light (IEC 61966-2-1)."""
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def _encode(light: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """Convert linear light to sRGB (IEC 61966-2-1); light brighter than white becomes white."""
    light = np.clip(light, 0, 1)  # the sums of a filter can end a rounding error below 0
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
