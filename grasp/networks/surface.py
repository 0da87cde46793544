"""What the networks see of an object: points with normals, and the area that each stands for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp.objects import Object
from pcdiff.errors import InputError
from pcdiff.metrics.chamfer import sample_farthest_points

POINTS = 512
"""Of the fine level: 7 to 10 mm apart on an object for one hand."""

COARSE = 128
"""Of the coarse level, each of which stands for the fine ones that are nearest to it."""

_DRAWN = 4  # points drawn on a mesh for each one that is kept: the kept ones are evenly spread
_NEIGHBOURS = 6  # by whose distance a point's area is estimated
_FEWEST = 16


@dataclass(frozen=True, eq=False)
class Surface:
    """Surfaces of one object or of several, about the centre of each.

    Values are what `grasp.networks.kernel_sums` sums: a, a·n and a·(n·p) of each point, for its
    area a, normal n and place p; the last two make signed distances.

    Attributes:
        centre: in the frame of the object's file, metres. All else is relative to it, so that a
            far origin costs no digits.
        points: metres.
        values: square metres, and their products with n and n·p.
        coarse_points: centres of areas of the coarse level.
        coarse_values: sums of the values.
        covariance: of the points about the centre, by area, square metres.
    """

    centre: Float[Tensor, "objects 3"]
    points: Float[Tensor, "objects points 3"]
    values: Float[Tensor, "objects points 5"]
    coarse_points: Float[Tensor, "objects coarse 3"]
    coarse_values: Float[Tensor, "objects coarse 5"]
    covariance: Float[Tensor, "objects 3 3"]

    def __len__(self) -> int:
        return len(self.points)

    def to(self, *where: Any) -> Surface:
        """On another device or in another type."""
        return Surface(**{each.name: getattr(self, each.name).to(*where) for each in fields(self)})

    def expand(self, count: int) -> Surface:
        """One object, as if it were several."""
        return Surface(
            **{
                each.name: (value := getattr(self, each.name)).expand(count, *value.shape[1:])
                for each in fields(self)
            }
        )

    @classmethod
    def stack(cls, surfaces: list[Surface]) -> Surface:
        """Several of one object each, as one of several objects."""
        return cls(
            **{
                each.name: torch.cat([getattr(surface, each.name) for surface in surfaces])
                for each in fields(cls)
            }
        )


def surface_of(obj: Object, rng: np.random.Generator, points: int = POINTS) -> Surface:
    """A mesh's surface, or a cloud, as the networks see it.

    Points are drawn uniformly (on a mesh) and thinned by farthest point sampling; of a cloud with
    fewer points, all are taken. They do not depend on the frame of the file.

    Args:
        obj: a mesh, or a cloud with normals.
        rng: draws the points.
        points: how many.

    Raises:
        InputError: the object has too few points.
    """
    if obj.is_mesh:
        places, normals = obj.surface(_DRAWN * points, rng)
    else:
        places, normals = obj.surface(min(_DRAWN * points, len(obj.vertices)), rng)
    centre = places.mean(axis=0)
    places = places - centre
    if len(places) > points:
        drawn = torch.from_numpy(places)[None]
        kept = sample_farthest_points(drawn, K=points)[1][0].numpy()
        places, normals = places[kept], normals[kept]
    if len(np.unique(places, axis=0)) < _FEWEST:
        raise InputError(
            f"{obj.file or obj.name} has {len(places)} points, expected at least {_FEWEST} "
            "different ones"
        )
    return oriented_points(places, normals, centre)


def oriented_points(
    places: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    centre: Float[np.ndarray, "3"],
) -> Surface:
    """A surface from points in the order of farthest point sampling.

    Args:
        places: about `centre`, metres.
        normals: outward, of length 1.
        centre: in the frame of the object's file.
    """
    from scipy.spatial import cKDTree

    areas = _areas(places, normals)
    middle = areas @ places / areas.sum()
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
    return Surface(
        **{name: torch.from_numpy(array).float()[None] for name, array in arrays.items()}
    )


def _areas(
    places: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, " points"]:
    """What each point stands for: the disc to its k-th neighbour holds about k + ½ points.

    The two sides of a thin wall are no neighbours: normals count as further coordinates, in which
    opposite ones are two spacings apart.
    """
    from scipy.spatial import cKDTree

    spacing = np.median(cKDTree(places).query(places, 2)[0][:, 1])
    both = np.hstack([places, spacing * normals])
    neighbours = min(_NEIGHBOURS, len(places) - 1)
    distance = cKDTree(both).query(both, neighbours + 1)[0][:, -1]
    area: Float[np.ndarray, " points"] = np.pi * distance**2 / (neighbours + 0.5)
    return area
