"""Volume, centre of mass and inertia of the solid inside a surface."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from grasp.objects.object import Object, Part
from grasp.objects.triangles import has_no_rim


def solid(
    obj: Object, parts: Sequence[Part]
) -> tuple[float, Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]] | None:
    """Compute the volume, centre of mass and inertia of the solid inside a mesh, at density 1.

    A mesh without a rim is measured directly. For any other mesh, the results for its convex parts
    are added up, so overlaps of the parts count more than once.

    Args:
        obj: Mesh to measure.
        parts: Convex parts of the mesh; empty if the parts are unknown.

    Returns:
        The volume in m³, the centre of mass in metres, and the inertia tensor at the centre of mass
        in m⁵; None if the mesh encloses no volume.
    """
    solids = [vertices[faces] for vertices, faces in parts]
    solids = [np.concatenate(solids)] if solids else []
    if obj.faces is not None and has_no_rim(obj.faces):
        solids.insert(0, obj.vertices[obj.faces])
    for triangles in solids:
        volume, centre, inertia = moments(triangles)
        if volume > 0 and _possible(inertia):
            return volume, centre, inertia
    return None


def moments(
    triangles: Float[np.ndarray, "faces 3 3"],
) -> tuple[float, Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
    """Compute the volume, centre of mass and inertia inside closed surfaces, at density 1.

    The results are sums over the signed tetrahedra between the triangles and one common point. For
    a tetrahedron with corners 0, p1, p2, p3 and volume V, and with s = p1 + p2 + p3, the integral
    of the position x is V·s/4, and the integral of x·xᵀ is V/20·(p1·p1ᵀ + p2·p2ᵀ + p3·p3ᵀ + s·sᵀ).

    Args:
        triangles: Corners of the faces, counter-clockwise seen from outside.

    Returns:
        The volume, the centre of mass, and the inertia tensor at the centre of mass, in the third,
        first and fifth power of the triangles' unit of length.
    """
    # The common point is the mean of all corners, so that a distant origin costs no precision.
    middle = triangles.mean(axis=(0, 1))
    corners = triangles - middle
    volumes = np.linalg.det(corners) / 6
    sums = corners.sum(axis=1)
    volume = float(volumes.sum())
    if not volume > 0:
        return 0.0, middle, np.zeros((3, 3))
    centre = volumes @ sums / (4 * volume)
    squares = np.einsum("n,nki,nkj->ij", volumes, corners, corners)
    squares = (squares + np.einsum("n,ni,nj->ij", volumes, sums, sums)) / 20
    squares -= volume * np.outer(centre, centre)
    return volume, middle + centre, np.trace(squares) * np.eye(3) - squares


def _possible(inertia: np.ndarray) -> bool:
    """Test whether a solid can have this inertia tensor.

    All principal moments must be above 0, and none may exceed the sum of the other two.
    """
    least, middle, most = np.linalg.eigvalsh(inertia)
    return bool(least > 0 and most <= (least + middle) * (1 + 1e-6))
