"""Turn an object into a `Surface`: evenly spread points with normals and areas."""

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
"""Number of points of the fine level. On an object that fits a hand they are 7 to 10 mm apart."""

COARSE = 128
"""Number of points of the coarse level, each of which sums up the fine points nearest to it."""

LANDMARKS = 64
"""Number of landmarks, the points that the networks see one by one."""

# The kernel width at a place on a landmark's line is the first number, in metres, plus the second
# number times the distance from the landmark.
_NARROWEST, _SPREADING = 0.003, 0.25

_DRAWN = 4  # points drawn on a mesh per point kept, so that the kept ones are evenly spread
_NEIGHBOURS = 6  # the area of a point follows from the distance to its sixth neighbour
_FEWEST = 16  # smallest number of different points of an object


def surface_of(obj: Object, rng: np.random.Generator, points: int = POINTS) -> Surface:
    """Make the surface of a mesh or a cloud in the form that the networks see.

    Points are drawn uniformly on a mesh, or from the points of a cloud, and thinned by farthest
    point sampling. A cloud with fewer points keeps them all, in the order of farthest point
    sampling. The choice of points does not depend on the frame of the file.

    Args:
        obj: A mesh, or a cloud with normals.
        rng: Generator that draws the points.
        points: Largest number of points to keep.

    Raises:
        InputError: If the object has too few different points.
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
    """Make a surface from points in the order of farthest point sampling.

    Args:
        places: Points about `centre`, in metres.
        normals: Outward unit normals at the points.
        centre: Origin of `places` in the frame of the object's file, in metres.
    """
    from scipy.spatial import cKDTree

    areas = _areas(places, normals)
    # The new centre is rounded to float32 before the points are moved about it. So the float32
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
    """Describe each landmark by the surface along the line of its normal; see `DESCRIBED`."""
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
    """Estimate each point's area: a disc that reaches its k-th neighbour holds about k + ½ points.

    To keep the two sides of a thin wall from being neighbours, normals count as further
    coordinates, in which opposite normals are two spacings apart.
    """
    from scipy.spatial import cKDTree

    spacing = np.median(cKDTree(places).query(places, 2)[0][:, 1])
    both = np.hstack([places, spacing * normals])
    neighbours = min(_NEIGHBOURS, len(places) - 1)
    distance = cKDTree(both).query(both, neighbours + 1)[0][:, -1]
    area: Float[np.ndarray, " points"] = np.pi * distance**2 / (neighbours + 0.5)
    return area
