"""Conversion of an object to a `Surface`: evenly spread points with surface normals and areas."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int

from grasp.field.networks.kernel_sums import look
from grasp.field.networks.surface import LINE, Surface
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.geometry.neighbours import sample_farthest_points

POINTS = 512
"""Number of fine points. On an object of graspable size the points are 7 to 10 mm apart."""

COARSE = 128
"""Number of coarse points. A coarse point replaces a group of neighbouring fine points."""

LANDMARKS = 64
"""Number of landmarks. The networks take each landmark as a separate input."""

# The kernel width at a place on a landmark's line is the first number, in metres, plus the second
# number times the distance from the landmark.
_NARROWEST, _SPREADING = 0.003, 0.25

_DRAWN = 32
"""Points drawn on a mesh for each fine point, which is their mean."""

_SPREAD = 4  # drawn points from which each fine point's group is chosen; more give evener groups
_APART = 0.01
"""Distance in metres that counts as much as a turn of the normal by one radian when points are
grouped, so that points on opposite sides of a thin wall are in different groups."""

_NEIGHBOURS = 6  # rank of the neighbour whose distance determines the area of a point
_LEAST_AREA = 1e-12  # square metres, so that a group whose normals cancel out gives no NaN
_FEWEST = 16  # smallest number of different points of an object


def surface_of(obj: Object, rng: np.random.Generator, points: int = POINTS) -> Surface:
    """Convert a mesh or a cloud to the surface that is an input of the networks.

    Many points are drawn uniformly on a mesh, or taken from a cloud. Farthest point sampling
    selects `points` of them, and every point joins the group of the nearest selected point. A fine
    point is the mean of its group, and has the group's area. The mean hardly changes with the
    draw. The groups do not depend on the frame of the object's file.

    Args:
        obj: A mesh, or a cloud with surface normals.
        rng: Generator that draws the points.
        points: Largest number of fine points.

    Raises:
        InputError: If fewer than 16 different points are selected.
    """
    count = _DRAWN * points
    places, normals = obj.surface(count if obj.is_mesh else min(count, len(obj.vertices)), rng)
    centre = places.mean(axis=0)
    places = places - centre
    drawn = torch.from_numpy(places[: _SPREAD * points])[None]
    kept = sample_farthest_points(drawn, K=min(points, len(places)))[1][0].numpy()
    if len(np.unique(places[kept], axis=0)) < _FEWEST:
        raise InputError(
            f"{obj.file or obj.name} must have at least {_FEWEST} different points, got "
            f"{len(np.unique(places[kept], axis=0))}"
        )
    return _grouped(places, normals, kept, centre, obj.area if obj.is_mesh else None)


def oriented_points(
    places: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    centre: Float[np.ndarray, "3"],
) -> Surface:
    """Convert points with surface normals to a surface whose fine points are these points.

    Args:
        places: Points relative to `centre` in metres, in the order of farthest point sampling.
        normals: Outward unit surface normals at the points.
        centre: Origin of `places` in the frame of the object's file, in metres.
    """
    return _grouped(places, normals, np.arange(len(places)), centre, None)


def _grouped(
    places: Float[np.ndarray, "drawn 3"],
    normals: Float[np.ndarray, "drawn 3"],
    kept: Int[np.ndarray, " points"],
    centre: Float[np.ndarray, "3"],
    area: float | None,
) -> Surface:
    """Return a surface with one fine point for each group of drawn points.

    Args:
        places: Drawn points relative to `centre` in metres.
        normals: Outward unit surface normals at the drawn points.
        kept: Indices of the points that define the groups, in the order of farthest point sampling.
        centre: Origin of `places` in the frame of the object's file, in metres.
        area: Surface area in square metres, which the drawn points share evenly. None estimates the
            area of each group from the distances between the means of the groups.
    """
    from scipy.spatial import cKDTree

    both = np.hstack([places, _APART * normals])
    # Equal points in a cloud can leave a group without points, which is left out.
    group = np.unique(cKDTree(both[kept]).query(both)[1], return_inverse=True)[1]
    areas = np.full(len(places), (area or 1.0) / len(places))
    if area is None:
        numbers = np.bincount(group)
        means: np.ndarray = np.stack([np.bincount(group, column) for column in both.T], axis=1)
        means = means / numbers[:, None]
        areas = (_areas(means[:, :3], means[:, 3:] / _APART) / numbers)[group]
    # The new centre is rounded to float32 before it is subtracted from the points. So the float32
    # centre is exact even for an object far from the origin of its file.
    middle = (centre + areas @ places / areas.sum()).astype(np.float32) - centre
    places = places - middle
    values = np.column_stack([areas, areas[:, None] * normals, areas * (normals * places).sum(1)])
    points, values = _sums(places, values, group)
    coarse, coarse_values = _sums(points, values, cKDTree(points[:COARSE]).query(points)[1])
    fine_areas = values[:, :1]
    arrays = {
        "centre": centre + middle,
        "points": points,
        "values": values,
        "coarse_points": coarse,
        "coarse_values": coarse_values,
        "covariance": (areas[:, None] * places).T @ places / areas.sum(),
    }
    landmarks = points[:LANDMARKS]
    facing = values[:LANDMARKS, 1:4]
    facing = facing / np.linalg.norm(facing, axis=1, keepdims=True).clip(min=_LEAST_AREA)
    cell = cKDTree(landmarks).query(points)[1]
    shares = np.bincount(cell, fine_areas[:, 0]) / areas.sum()
    described = _along_normals(landmarks, facing, points, values)
    arrays["landmarks"] = landmarks
    arrays["landmark_values"] = np.column_stack([shares, facing, described])
    return Surface(
        **{name: torch.from_numpy(array).float()[None] for name, array in arrays.items()}
    )


def _sums(
    places: Float[np.ndarray, "points 3"],
    values: Float[np.ndarray, "points 5"],
    group: Int[np.ndarray, " points"],
) -> tuple[Float[np.ndarray, "groups 3"], Float[np.ndarray, "groups 5"]]:
    """Return the centroid of each group of points, weighted by area, and the sums of its values."""
    sums = np.stack(
        [np.bincount(group, column) for column in (*values.T, *(values[:, :1] * places).T)]
    )
    return (sums[5:] / sums[0]).T, sums[:5].T


def _along_normals(
    landmarks: Float[np.ndarray, "landmarks 3"],
    normals: Float[np.ndarray, "landmarks 3"],
    points: Float[np.ndarray, "points 3"],
    values: Float[np.ndarray, "points 5"],
) -> Float[np.ndarray, "landmarks described"]:
    """Return a description of the surface along each landmark's normal line; see `DESCRIBED`."""
    outward = torch.from_numpy(normals[:, None])
    steps = torch.tensor(LINE, dtype=torch.float64)[:, None]
    at = (torch.from_numpy(landmarks[:, None]) + steps * outward).flatten(0, 1)[None]
    width = (_NARROWEST + _SPREADING * steps.abs()).repeat(len(outward), 1)[None]
    amount, normal, distance = look(
        at, width, torch.from_numpy(points)[None], torch.from_numpy(values)[None]
    )
    facing = (normal[0].unflatten(0, (len(outward), -1)) * outward).sum(-1)
    described = torch.stack([amount.view_as(facing), facing, distance.view_as(facing)], dim=-1)
    found: Float[np.ndarray, "landmarks described"] = described.flatten(1).numpy()
    return found


def _areas(
    places: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, " points"]:
    """Estimate the surface area of each point in square metres.

    A disc around a point that extends to the k-th nearest neighbour contains approximately k + ½
    points. Surface normals are further coordinates in the search for neighbours, so that points on
    opposite sides of a thin wall are not neighbours: opposite normals are two spacings apart.
    """
    from scipy.spatial import cKDTree

    spacing = np.median(cKDTree(places).query(places, 2)[0][:, 1])
    both = np.hstack([places, spacing * normals])
    neighbours = min(_NEIGHBOURS, len(places) - 1)
    distance = cKDTree(both).query(both, neighbours + 1)[0][:, -1]
    area: Float[np.ndarray, " points"] = np.pi * distance**2 / (neighbours + 0.5)
    return area
