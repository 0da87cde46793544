"""Conversion of an object to a `Surface`: evenly spread points with surface normals and areas."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

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

_DRAWN = 4  # random points per selected point; more random points give more even selections
_NEIGHBOURS = 6  # rank of the neighbour whose distance determines the area of a point
_FEWEST = 16  # smallest number of different points of an object


def surface_of(obj: Object, rng: np.random.Generator, points: int = POINTS) -> Surface:
    """Convert a mesh or a cloud to the surface that is an input of the networks.

    Points are drawn uniformly on a mesh, or from the points of a cloud. Farthest point sampling
    selects `points` of these points; if a cloud has fewer points, all its points are selected. The
    selection does not depend on the frame of the object's file.

    Args:
        obj: A mesh, or a cloud with surface normals.
        rng: Generator that draws the points.
        points: Largest number of selected points.

    Raises:
        InputError: If fewer than 16 different points are selected.
    """
    if obj.is_mesh:
        places, normals = obj.surface(_DRAWN * points, rng)
    else:
        places, normals = obj.surface(min(_DRAWN * points, len(obj.vertices)), rng)
    centre = places.mean(axis=0)
    places = places - centre
    drawn = torch.from_numpy(places)[None]
    kept = sample_farthest_points(drawn, K=min(points, len(places)))[1][0].numpy()
    places, normals = places[kept], normals[kept]
    if len(np.unique(places, axis=0)) < _FEWEST:
        raise InputError(
            f"{obj.file or obj.name} must have at least {_FEWEST} different points, got "
            f"{len(np.unique(places, axis=0))}"
        )
    return oriented_points(places, normals, centre)


def oriented_points(
    places: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    centre: Float[np.ndarray, "3"],
) -> Surface:
    """Convert points with surface normals to a surface.

    Args:
        places: Points relative to `centre` in metres, in the order of farthest point sampling.
        normals: Outward unit surface normals at the points.
        centre: Origin of `places` in the frame of the object's file, in metres.
    """
    from scipy.spatial import cKDTree

    areas = _areas(places, normals)
    # The new centre is rounded to float32 before it is subtracted from the points. So the float32
    # centre is exact even for an object far from the origin of its file.
    middle = (centre + areas @ places / areas.sum()).astype(np.float32) - centre
    places = places - middle
    values = np.column_stack([areas, areas[:, None] * normals, areas * (normals * places).sum(1)])
    cell = cKDTree(places[:COARSE]).query(places)[1]
    sums = np.stack(
        [np.bincount(cell, column) for column in (*values.T, *(values[:, :1] * places).T)]
    )
    arrays = {
        "centre": centre + middle,
        "points": places,
        "values": values,
        "coarse_points": (sums[5:] / sums[0]).T,
        "coarse_values": sums[:5].T,
        "covariance": (values[:, :1] * places).T @ places / areas.sum(),
    }
    landmarks = places[:LANDMARKS]
    cell = cKDTree(landmarks).query(places)[1]
    shares = np.bincount(cell, areas) / areas.sum()
    described = _along_normals(places, normals, values)
    arrays["landmarks"] = landmarks
    arrays["landmark_values"] = np.column_stack([shares, normals[: len(landmarks)], described])
    return Surface(
        **{name: torch.from_numpy(array).float()[None] for name, array in arrays.items()}
    )


def _along_normals(
    places: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    values: Float[np.ndarray, "points 5"],
) -> Float[np.ndarray, "landmarks described"]:
    """Return a description of the surface along each landmark's normal line; see `DESCRIBED`."""
    outward = torch.from_numpy(normals[:LANDMARKS, None])
    steps = torch.tensor(LINE, dtype=torch.float64)[:, None]
    at = (torch.from_numpy(places[:LANDMARKS, None]) + steps * outward).flatten(0, 1)[None]
    width = (_NARROWEST + _SPREADING * steps.abs()).repeat(len(outward), 1)[None]
    amount, normal, distance = look(
        at, width, torch.from_numpy(places)[None], torch.from_numpy(values)[None]
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
