"""Surface normals of point clouds, estimated from neighbouring points and turned outward."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

NEIGHBOURS = 16
"""Number of points from which a normal is estimated, including the point of the normal itself."""

LINKS = 8
"""Number of nearest points, including the point itself, to which a point is joined in the graph
along which the signs of normals spread."""

VIEWS = 64
"""Number of directions from which a cloud is viewed to find its outside."""

VIEW_DISTANCE = 3.0
"""Distance from the viewer to the centre of the cloud, as a multiple of the cloud's radius."""

FLIP_RADIUS = 20.0
"""Radius of the sphere in hidden point removal, as a multiple of the viewer's distance to the
farthest point.

With a larger radius, the viewer sees into narrower gaps, but also through walls that are thin
compared with the distance between points."""

HULL_POINTS = 20_000
"""Largest number of points in the visibility test; a larger cloud is thinned for the test."""

CONFIDENCE = 0.2
"""The outside of a point counts as known if the views of the point agree by more than this value,
which is between 0 and 1."""

_CHUNK = 100_000  # number of points whose neighbourhoods are in memory at a time


def estimate_normals(
    points: Float[np.ndarray, "points 3"],
    viewpoint: Float[np.ndarray, "3"] | None = None,
    neighbours: int = NEIGHBOURS,
) -> Float[np.ndarray, "points 3"]:
    """Estimate unit normals of points on a surface, pointing outward or towards the camera.

    A normal is the direction in which the nearest neighbours vary least: the smallest principal
    component of their positions (Hoppe et al., "Surface reconstruction from unorganized points",
    1992, section 3.2). The direction and the sign of a normal are uncertain where a wall is only
    a few times as thick as the distance between points.

    Args:
        points: At least `neighbours` points that do not all coincide, in any unit.
        viewpoint: Position of the camera that saw all points, in the unit and frame of the points.
            The normals then point towards the camera. If None, `orient_outward` turns the normals.
        neighbours: Number of points from which a normal is estimated, including the point of the
            normal itself.
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
    """Turn normals to the side from which their points are visible.

    The cloud is viewed from `VIEWS` directions. Hidden point removal (Katz, Tal and Basri, "Direct
    visibility of point sets", 2007) finds the visible points. The outside of a visible point is on
    the viewer's side. A point that is visible from no direction, or from both sides, takes the sign
    of its normal from a neighbour: signs spread along the minimum spanning tree of the neighbour
    graph. An edge between points with normals n₁ and n₂ costs 1 − |n₁·n₂|, so signs spread over
    flat places first and across sharp edges last (Hoppe et al. 1992, section 3.3). Without the
    views, spreading fails where a sign jumps between the inner and the outer wall of a bowl.

    A sheet without thickness has no outside; all its normals point to one side.

    Args:
        points: Points in any unit.
        normals: Unit normals of either sign.
        nearest: Indices of the neighbours of each point.
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
    # An extra node stands for the outside. Points with a known outside are joined to it at no cost.
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
    """Compare the normal of each point with the directions from which the point is visible.

    Returns:
        For each point, the sum of the cosines between the normal and the directions towards those
        viewers that see the point, and the sum of the magnitudes of these cosines.
    """
    from scipy.spatial import ConvexHull, QhullError

    votes, cast = np.zeros(len(points)), np.zeros(len(points))
    thinned = np.arange(0, len(points), -(-len(points) // HULL_POINTS))
    viewed = points[thinned] - (points.min(axis=0) + points.max(axis=0)) / 2
    radius = np.linalg.norm(viewed, axis=1).max()
    for direction in directions(VIEWS):
        offsets = viewed - VIEW_DISTANCE * radius * direction
        distances = np.linalg.norm(offsets, axis=1, keepdims=True)
        # After mirroring in a sphere around the viewer, visible points are on the convex hull.
        mirrored = offsets * (2 * FLIP_RADIUS * distances.max() / distances - 1)
        try:
            corners = ConvexHull(np.vstack([mirrored, np.zeros(3)])).vertices
        except QhullError:  # all points are in one plane with the viewer, who sees neither side
            continue
        seen = corners[corners < len(thinned)]
        cosines = -np.einsum("ni,ni->n", normals[thinned[seen]], (offsets / distances)[seen])
        votes[thinned[seen]] += cosines
        cast[thinned[seen]] += np.abs(cosines)
    return votes, cast


def directions(count: int) -> Float[np.ndarray, "count 3"]:
    """Return unit vectors that are spread evenly over the sphere, on a golden-angle spiral.

    Args:
        count: Number of directions.
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
    """Find signs that satisfy every edge of a minimum spanning forest.

    Args:
        count: Number of nodes in the graph.
        heads: Index of the first node of each edge.
        tails: Index of the second node of each edge. An edge may occur more than once, and may join
            a node to itself.
        agreement: 1 for each edge that requires equal signs at its two nodes, −1 for each edge that
            requires opposite signs.
        costs: Cost of each edge, at least 0; the forest has the smallest total cost.

    Returns:
        For each node, a sign ±1 and the number of the connected piece that contains the node. The
        edges stay satisfied if all signs of a piece are flipped.
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

    # In a sparse graph, a cost of 0 would mean that there is no edge.
    graph = coo_matrix((costs + 1, (small, large)), shape=(count, count)).tocsr()
    tree = spanning(graph)
    number, pieces = connected_components(tree, directed=False)

    # One root above all pieces lets a single search visit them all.
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
        signs = signs * signs[parents]  # the sign of a root is 1
        parents = parents[parents]
    return signs, pieces.astype(np.int64)


def _nearest(points: np.ndarray, neighbours: int) -> np.ndarray:
    from scipy.spatial import cKDTree

    return cKDTree(points).query(points, neighbours)[1].astype(np.int64)
