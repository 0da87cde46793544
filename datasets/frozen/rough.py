"""Damage a mesh as a bad scan does: bumps, filled cavities, and loose balls beside the surface.

The damage is done on a grid of depths below the surface, so the result encloses a solid. No point
of the damaged surface is farther from the true surface than the stated distance, except in filled
cavities and at the balls. A dent at a corner can be farther from the corner, by the factor √3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from datasets.household.shapes import Polyhedron
from grasp.objects.object import Object
from grasp.objects.rays import Target
from grasp.objects.triangles import is_closed
from pcdiff.errors import InputError

SPACING = 0.001
"""Distance in metres between neighbouring points of the grid."""

TOLERANCE = 0.001
"""Distance in metres by which the grid and the triangles may move the surface beyond the bumps."""

_WAVES, _SHORTEST, _LONGEST = 24, 0.01, 0.04  # number of waves, and their lengths in metres
_SAMPLES = 1e7  # points per square metre from which distances to the surface are measured
_EDGE = 0.0017  # length in metres of the edges of the surface before it is simplified
_SIMPLIFIED = 0.0002  # distance in metres by which simplification may move the surface
_THIN = 0.002  # depth in metres of the material that dents leave
_GROWTH = 0.0003  # least growth in metres of walls that are too thin for dents
_RADII = 0.003, 0.006  # smallest and largest radius of a ball in metres
_GAPS = 0.008, 0.025  # smallest and largest gap between a ball and the surface in metres


@dataclass(frozen=True)
class Damage:
    """Damage of a scan.

    Attributes:
        distance: Largest distance in metres between the damaged and the true surface, outside of
            filled cavities and balls; `TOLERANCE` comes on top.
        closing: Radius in metres of a ball. Gaps and cavities that the ball cannot enter are
            filled. 0 fills nothing.
        floaters: Number of loose balls.

    Raises:
        InputError: If a number is out of its range.
    """

    distance: float
    closing: float = 0.0
    floaters: int = 0

    def __post_init__(self) -> None:
        if not (_GROWTH < self.distance <= 0.005 and 0 <= self.closing <= 0.1):
            raise InputError(
                f"damage needs a distance above {_GROWTH} m and up to 0.005 m and a closing of 0 "
                "to 0.1 m, "
                f"got a distance of {self.distance} m and a closing of {self.closing} m"
            )
        if not 0 <= self.floaters <= 20:
            raise InputError(f"damage needs 0 to 20 floaters, got {self.floaters}")


def damaged(obj: Object, damage: Damage, rng: np.random.Generator) -> Polyhedron:
    """Return a damaged copy of a watertight mesh, in metres, in the frame of the mesh.

    Args:
        obj: The mesh.
        damage: Kind and size of the damage.
        rng: Source of randomness for the bumps and the balls.

    Raises:
        InputError: If the mesh is not watertight, or manifold3d is not installed.
    """
    import trimesh
    from scipy.spatial import cKDTree

    if obj.faces is None or not is_closed(obj.faces):
        raise InputError(f"{obj.file or obj.name} is not watertight, so it has no inside to damage")
    surface = cKDTree(obj.surface(math.ceil(_SAMPLES * obj.area), np.random.default_rng(0))[0])
    grid = _Grid.around(obj, damage.distance)
    inside = grid.inside(obj)
    depth = grid.depth(inside, surface, damage.distance)
    if damage.closing:
        depth = np.maximum(depth, grid.filled(inside, damage.closing))
    solid = grid.surface(depth + grid.bumps(depth, damage.distance, rng))
    vertices, faces = [solid.vertices], [solid.faces]
    for centre, radius in _balls(obj, damage, surface, rng):
        ball = trimesh.creation.icosphere(subdivisions=2, radius=radius)
        faces.append(np.array(ball.faces) + sum(map(len, vertices)))
        vertices.append(np.array(ball.vertices) + centre)
    return Polyhedron(np.concatenate(vertices), np.concatenate(faces))


@dataclass(frozen=True, eq=False)
class _Grid:
    """A grid of points around a mesh; an array of the grid has the shape `count`.

    Attributes:
        low: The first point in metres, in the frame of the mesh.
        count: Number of points along each axis.
    """

    low: Float[np.ndarray, "3"]
    count: tuple[int, int, int]

    @classmethod
    def around(cls, obj: Object, distance: float) -> _Grid:
        margin = distance + 4 * SPACING
        # Meshes often have faces at round coordinates. An odd offset keeps the rays of `inside`
        # away from the edges of such faces.
        low = obj.bounds[0] - margin - SPACING * np.array([0.3819, 0.2361, 0.1459])
        x, y, z = np.ceil((obj.bounds[1] + margin - low) / SPACING).astype(int) + 1
        return cls(low, (int(x), int(y), int(z)))

    @property
    def axes(self) -> list[np.ndarray]:
        return [
            low + SPACING * np.arange(count)
            for low, count in zip(self.low, self.count, strict=True)
        ]

    def points(self) -> Float[np.ndarray, "x y z 3"]:
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1)

    def inside(self, obj: Object) -> Bool[np.ndarray, "x y z"]:
        """Test whether the winding number of the mesh is above 0, along one ray per column."""
        assert obj.faces is not None
        x, y = (each.ravel() for each in np.meshgrid(*self.axes[:2], indexing="ij"))
        origins = np.stack([x, y, np.full(x.size, self.low[2])], axis=1)
        upward = np.tile([0.0, 0.0, 1.0], (x.size, 1))
        hits = Target(obj.vertices, obj.faces, exact=True).all(origins, upward)
        first = np.ceil(hits.distance / SPACING).astype(int)  # first point behind the crossing
        winding = np.zeros((x.size, self.count[2]), np.int64)
        np.add.at(winding, (hits.ray, first), -np.sign(hits.slope).astype(np.int64))
        return np.cumsum(winding, axis=1).reshape(self.count) > 0

    def depth(
        self, inside: np.ndarray, surface: Any, distance: float
    ) -> Float[np.ndarray, "x y z"]:
        """Return the depth of each point below the surface in metres, negative outside.

        The depth is exact near the surface; farther away, its error is up to one spacing.
        """
        depth = self._signed(inside)
        near = np.abs(depth) < distance + 3 * SPACING
        found = surface.query(self.points()[near])[0]
        depth[near] = np.where(inside[near], found, -found)
        return depth

    def filled(self, inside: np.ndarray, radius: float) -> Float[np.ndarray, "x y z"]:
        """Return the depth of each point below the surface of the morphological closing.

        The closing consists of the points that no ball of this radius outside the mesh can cover.
        """
        from scipy.ndimage import distance_transform_edt, gaussian_filter

        room = math.ceil(radius / SPACING) + 2
        far = np.pad(inside, room)
        grown = distance_transform_edt(~far) * SPACING <= radius
        closed = distance_transform_edt(grown) * SPACING > radius
        closed = closed[room:-room, room:-room, room:-room] | inside
        smooth: np.ndarray = gaussian_filter(self._signed(closed), 1.5, mode="nearest")
        # Smoothing moves the surface by up to one spacing; none of it may lie outside the mesh.
        return smooth - SPACING

    def bumps(
        self, depth: np.ndarray, distance: float, rng: np.random.Generator
    ) -> Float[np.ndarray, "x y z"]:
        """Draw random bumps between −distance and distance, in metres.

        Dents leave solid material `_THIN` deep, and thinner walls grow. So only walls that are
        hardly thicker than the spacing of the grid get holes.
        """
        from scipy.ndimage import maximum_filter

        directions = rng.normal(size=(_WAVES, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = _SHORTEST * (_LONGEST / _SHORTEST) ** rng.random((_WAVES, 1))
        waves = 2 * math.pi / lengths * directions
        phases = rng.uniform(0, 2 * math.pi, _WAVES)
        total = np.zeros(self.count)
        for wave, phase in zip(waves, phases, strict=True):
            x, y, z = (np.exp(1j * k * axis) for k, axis in zip(wave, self.axes, strict=True))
            flat = np.multiply.outer(x * np.exp(1j * phase), y)
            total += flat.real[..., None] * z.real - flat.imag[..., None] * z.imag
        # The standard deviation of the sum is √(waves / 2); at 1.4 deviations, bumps are cut off.
        bumps = distance * np.clip(total / (1.4 * math.sqrt(_WAVES / 2)), -1, 1)
        window = 2 * math.ceil((distance + _THIN) / SPACING) + 1
        thickest = maximum_filter(depth, window, mode="nearest")
        return np.maximum(bumps, np.minimum(_THIN - thickest, _GROWTH))

    def surface(self, solid: Float[np.ndarray, "x y z"]) -> Polyhedron:
        """Return the surface where a function on the grid, positive inside, is 0."""
        try:
            from manifold3d import Manifold
        except ImportError as error:
            raise InputError(
                'damaging meshes needs manifold3d: install it with pip install ".[makers]"'
            ) from error
        # Rounding to nanometres removes the differences between machines in the last bits.
        values = np.round(solid, 9).ravel().tolist()
        nx, ny, nz = self.count
        x0, y0, z0 = self.low.tolist()

        def value(x: float, y: float, z: float) -> float:
            """Interpolate linearly between the eight nearest points."""
            x, y, z = (x - x0) / SPACING, (y - y0) / SPACING, (z - z0) / SPACING
            i = min(max(int(x), 0), nx - 2)
            j = min(max(int(y), 0), ny - 2)
            k = min(max(int(z), 0), nz - 2)
            x, y, z = x - i, y - j, z - k
            at = (i * ny + j) * nz + k
            behind, beside = at + ny * nz, at + nz
            across = behind + nz
            low = values[at] * (1 - z) + values[at + 1] * z
            low = low * (1 - y) + (values[beside] * (1 - z) + values[beside + 1] * z) * y
            high = values[behind] * (1 - z) + values[behind + 1] * z
            high = high * (1 - y) + (values[across] * (1 - z) + values[across + 1] * z) * y
            return low * (1 - x) + high * x

        high = self.low + SPACING * (np.array(self.count) - 1)
        bounds = [x0, y0, z0, *high.tolist()]
        pieces = Manifold.level_set(value, bounds, _EDGE).simplify(_SIMPLIFIED).decompose()
        largest = max(piece.volume() for piece in pieces)
        # Closed voids have negative volumes, and specks small volumes. A sampler sees neither.
        kept = [piece for piece in pieces if piece.volume() > 0.01 * largest]
        mesh = Manifold.compose(kept).to_mesh64()
        return Polyhedron(
            np.array(mesh.vert_properties)[:, :3], np.array(mesh.tri_verts).astype(np.int64)
        )

    def _signed(self, inside: np.ndarray) -> np.ndarray:
        from scipy.ndimage import distance_transform_edt

        # A point beside the surface is half a spacing away from it on average.
        return SPACING * np.where(
            inside, distance_transform_edt(inside) - 0.5, 0.5 - distance_transform_edt(~inside)
        )


def _balls(
    obj: Object, damage: Damage, surface: Any, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, float]]:
    """Draw the centres and radii of loose balls that touch neither the object nor each other."""
    drawn: list[tuple[np.ndarray, float]] = []
    while len(drawn) < damage.floaters:
        point, normal = (each[0] for each in obj.surface(1, rng))
        radius, gap = float(rng.uniform(*_RADII)), float(rng.uniform(*_GAPS))
        centre = point + (radius + gap) * normal
        clear = surface.query(centre)[0] - radius - damage.distance
        apart = all(np.linalg.norm(centre - other) > radius + size for other, size in drawn)
        if clear >= _GAPS[0] / 2 and apart:
            drawn.append((centre, radius))
            yield drawn[-1]
