"""Normals of point clouds: estimated from neighbours, and turned so that they agree."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

NEIGHBOURS = 16
"""Points, itself among them, from which a point's normal is estimated."""

LINKS = 8
"""Of them, itself included, those along which a sign is carried."""

VIEWS = 64
"""Directions from which a cloud is looked at to tell its outside."""

VIEW_DISTANCE = 3.0
"""From there to the middle of the cloud, in radii of the cloud."""

FLIP_RADIUS = 20.0
"""Of the sphere of hidden point removal, in distances to the farthest point. A larger one looks
into narrower places, but through walls that are thin for the distance between points."""

HULL_POINTS = 20_000
"""A larger cloud is thinned to about this many before it is looked at."""

CONFIDENCE = 0.2
"""A point knows its outside if the directions that see it agree by this share."""

_CHUNK = 100_000  # points whose neighbourhoods are in memory at a time


def estimate_normals(
    points: Float[np.ndarray, "points 3"],
    viewpoint: Float[np.ndarray, "3"] | None = None,
    neighbours: int = NEIGHBOURS,
) -> Float[np.ndarray, "points 3"]:
    """Unit normals of points on a surface, outward, or towards the camera that saw them.

    A normal is the direction in which the nearest neighbours vary least: the smallest principal
    component of their positions (Hoppe et al., "Surface reconstruction from unorganized points",
    1992, section 3.2). Directions and sides are uncertain where a wall is thinner than a few
    distances between points.

    Args:
        points: At least `neighbours` points that do not all coincide, in any unit.
        viewpoint: The camera's position, if all points were seen from one place; normals then
            point to its side. Without it they are turned by `orient_outward`.
        neighbours: Points from which a normal is estimated, itself among them.
    """
    nearest = _nearest(points, neighbours)
    normals = np.empty(points.shape)
    for first in range(0, len(points), _CHUNK):
        local = points[nearest[first : first + _CHUNK]]
        local = local - local.mean(axis=1, keepdims=True)
        spread = np.einsum("nki,nkj->nij", local, local)
        normals[first : first + _CHUNK] = np.linalg.eigh(spread)[1][:, :, 0]
    if viewpoint is None:
        return orient_outward(points, normals, nearest[:, :LINKS])
    away = np.einsum("ni,ni->n", normals, points - viewpoint) > 0
    return np.where(away[:, None], -normals, normals)


def orient_outward(
    points: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    nearest: Int[np.ndarray, "points neighbours"],
) -> Float[np.ndarray, "points 3"]:
    """Turn normals to the side from which their points can be seen.

    The cloud is looked at from `VIEWS` directions, and a point that is seen by hidden point removal
    (Katz, Tal and Basri, "Direct visibility of point sets", 2007) has its outside there. To the
    points that no direction sees, or that are seen from both sides, the sign is carried along the
    minimum spanning tree of the graph of neighbours, where an edge costs 1 − |n₁·n₂|, so that it
    travels over flat places first and crosses edges last (Hoppe et al. 1992, section 3.3). That
    alone would not do: between the two walls of a bowl it takes the wrong turn.

    A sheet without thickness has no outside: its normals agree with one another.

    Args:
        points: In any unit.
        normals: Unit normals of either sign.
        nearest: For each point the indices of its neighbours.
    """
    count, neighbours = nearest.shape
    votes, cast = _votes(points, normals)
    (sure,) = np.nonzero(np.abs(votes) > CONFIDENCE * cast)
    heads = np.repeat(np.arange(count), neighbours)
    tails = nearest.reshape(-1)
    cosines = np.empty(len(heads))
    step = _CHUNK * neighbours
    for first in range(0, len(heads), step):
        part = slice(first, first + step)
        cosines[part] = np.einsum("ni,ni->n", normals[heads[part]], normals[tails[part]])
    # One node more stands for the outside; what is sure is joined to it at no cost.
    signs, pieces = propagate_signs(
        count + 1,
        np.concatenate([heads, sure]),
        np.concatenate([tails, np.full(len(sure), count)]),
        np.where(np.concatenate([cosines, votes[sure]]) < 0, -1, 1),
        np.concatenate([np.maximum(1 - np.abs(cosines), 0), np.zeros(len(sure))]),
    )
    signs = signs[:-1]
    balance = np.bincount(pieces[:-1], signs * votes, minlength=pieces.max() + 1)
    turned = np.where(balance < 0, -1, 1)
    return normals * (signs * turned[pieces[:-1]])[:, None]


def _votes(
    points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Sums, over the directions that see a point, of the cosine to its normal and of its size."""
    from scipy.spatial import ConvexHull, QhullError

    votes, cast = np.zeros(len(points)), np.zeros(len(points))
    thinned = np.arange(0, len(points), -(-len(points) // HULL_POINTS))
    looked_at = points[thinned] - (points.min(axis=0) + points.max(axis=0)) / 2
    radius = np.linalg.norm(looked_at, axis=1).max()
    for direction in directions(VIEWS):
        offsets = looked_at - VIEW_DISTANCE * radius * direction
        distances = np.linalg.norm(offsets, axis=1, keepdims=True)
        # Mirrored in a sphere around the viewer, what was nearest lies on the convex hull.
        mirrored = offsets * (2 * FLIP_RADIUS * distances.max() / distances - 1)
        try:
            corners = ConvexHull(np.vstack([mirrored, np.zeros(3)])).vertices
        except QhullError:  # all in one plane with the viewer, who sees no side of it
            continue
        seen = corners[corners < len(thinned)]
        cosines = -np.einsum("ni,ni->n", normals[thinned[seen]], (offsets / distances)[seen])
        votes[thinned[seen]] += cosines
        cast[thinned[seen]] += np.abs(cosines)
    return votes, cast


def directions(count: int) -> Float[np.ndarray, "count 3"]:
    """Directions that are spread evenly: a spiral around the sphere by the golden angle.

    Args:
        count: how many.
    """
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    level = np.sqrt(1 - height**2)
    return np.stack([level * np.cos(angle), level * np.sin(angle), height], axis=1)


def propagate_signs(
    count: int,
    heads: Int[np.ndarray, " edges"],
    tails: Int[np.ndarray, " edges"],
    agreement: Int[np.ndarray, " edges"],
    costs: Float[np.ndarray, " edges"],
) -> tuple[Int[np.ndarray, " nodes"], Int[np.ndarray, " nodes"]]:
    """Signs that agree, or not, along the edges of a minimum spanning forest as these say.

    Args:
        count: Nodes of the graph.
        heads: One end of each edge.
        tails: The other end; an edge may be given more than once, or lead to its own head.
        agreement: For each edge, 1 if its ends should have the same sign, −1 if not.
        costs: Of each edge, at least 0; the forest has the smallest sum of them.

    Returns:
        A sign ±1 for each node, and the number of its connected piece. Turning a whole piece
        would satisfy the edges as well.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components
    from scipy.sparse.csgraph import minimum_spanning_tree as spanning

    small, large = np.minimum(heads, tails), np.maximum(heads, tails)
    order = np.lexsort((costs, large, small))
    small, large, costs, agreement = small[order], large[order], costs[order], agreement[order]
    first = small != large
    first[1:] &= (small[1:] != small[:-1]) | (large[1:] != large[:-1])
    small, large, costs, agreement = small[first], large[first], costs[first], agreement[first]

    # A sparse graph takes a cost of 0 for no edge.
    graph = coo_matrix((costs + 1, (small, large)), shape=(count, count)).tocsr()
    tree = spanning(graph)
    number, pieces = connected_components(tree, directed=False)

    # A root above all pieces, so that one walk visits them all.
    _, representatives = np.unique(pieces, return_index=True)
    coo = tree.tocoo()
    rows = np.concatenate([coo.row, np.full(number, count)])
    columns = np.concatenate([coo.col, representatives])
    rooted = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count + 1, count + 1))
    _, parents = breadth_first_order(rooted.tocsr(), count, directed=False)
    parents = parents.astype(np.int64)
    parents[representatives] = representatives

    nodes = np.arange(count)
    parents = parents[:count]
    signs = np.ones(count, np.int64)
    inner = parents != nodes
    low, high = np.minimum(nodes, parents)[inner], np.maximum(nodes, parents)[inner]
    signs[inner] = agreement[np.searchsorted(small * count + large, low * count + high)]
    # Each round doubles the length of the path whose signs are multiplied.
    while (parents[parents] != parents).any():
        signs = signs * signs[parents]  # that of a root is 1
        parents = parents[parents]
    return signs, pieces.astype(np.int64)


def _nearest(points: np.ndarray, neighbours: int) -> np.ndarray:
    from scipy.spatial import cKDTree

    return cKDTree(points).query(points, neighbours)[1].astype(np.int64)
