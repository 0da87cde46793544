"""The Chamfer distance, with the function name and the conventions of PyTorch3D.

All distances are squared, so their unit is the square of the clouds' unit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_clouds
from pcdiff.geometry.neighbours import (
    ACCELERATOR_COLUMNS,
    ACCELERATOR_ROWS,
    CPU_COLUMNS,
    CPU_ROWS,
    checked_lengths,
    knn_points,
    left_factor,
    right_factor,
)


def chamfer_distance(
    x: Float[Tensor, "batch points1 dims"],
    y: Float[Tensor, "batch points2 dims"],
    x_lengths: Int[Tensor, " batch"] | None = None,
    y_lengths: Int[Tensor, " batch"] | None = None,
    batch_reduction: Literal["mean", "sum"] | None = "mean",
    point_reduction: Literal["mean", "sum"] = "mean",
) -> tuple[Float[Tensor, ""] | Float[Tensor, " batch"], None]:
    """Compute the Chamfer distance between the clouds `x[n]` and `y[n]` of each pair n.

    By default, the distance is the sum of two means: the mean squared distance from a point of x to
    the nearest point of y, and the mean squared distance from a point of y to the nearest point of
    x. The function supports a subset of `pytorch3d.loss.chamfer_distance`: norm 2 and both
    directions, without surface normals and weights.

    Args:
        x: The first clouds.
        y: The second clouds.
        x_lengths: Number of valid points at the start of each cloud of `x`; None for all points.
        y_lengths: Number of valid points at the start of each cloud of `y`; None for all points.
        batch_reduction: Reduction of the distances over the pairs; None returns one distance per
            pair.
        point_reduction: Reduction of the distances over the points of a cloud.

    Returns:
        The differentiable distance, and None in the place of PyTorch3D's normal loss.

    Raises:
        InputError: If the array shapes of the clouds do not match, a cloud is empty or contains a
            NaN, a length is out of range, or a reduction has an unknown name.
    """
    if batch_reduction not in ("mean", "sum", None):
        raise InputError(f"batch_reduction must be 'mean', 'sum' or None, got {batch_reduction!r}")
    if point_reduction not in ("mean", "sum"):
        raise InputError(f"point_reduction must be 'mean' or 'sum', got {point_reduction!r}")
    # Points beyond the valid length have distance 0, so the sums need no mask.
    from_x = knn_points(x, y, x_lengths, y_lengths).dists.sum(dim=(1, 2))
    from_y = knn_points(y, x, y_lengths, x_lengths).dists.sum(dim=(1, 2))
    if point_reduction == "mean":
        from_x = from_x / checked_lengths("x_lengths", x_lengths, x)
        from_y = from_y / checked_lengths("y_lengths", y_lengths, y)
    loss = from_x + from_y
    if batch_reduction == "mean":
        return loss.mean(), None
    return (loss.sum() if batch_reduction == "sum" else loss), None


@torch.no_grad()
def pairwise_chamfer(
    a: Float[Tensor, "shapes1 points1 3"],
    b: Float[Tensor, "shapes2 points2 3"] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Float[Tensor, "shapes1 columns"]:
    """Compute the Chamfer distance between every cloud of one set and every cloud of another set.

    The distance has the defaults of `chamfer_distance`: a mean over the points in each direction,
    and the sum of both directions. The function compares all pairs of points and is not
    differentiable. In float32 the error is approximately 2e-8 r², where r is the radius of the sets
    around their common mean. This error is 4e-7 of the distance between two different chairs. The
    computed distance between two equal clouds is approximately 1e-8, not exactly 0. On an
    accelerator, keep TF32 matrix products disabled, because TF32 is too inaccurate.

    Args:
        a: The first set.
        b: The second set; None compares the first set with itself at half the cost.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Returns:
        The matrix of distances, with one row per cloud of `a` and one column per cloud of `b`. If
        `b` is None, the matrix is symmetric and its diagonal is 0.

    Raises:
        InputError: If a set is empty, has a wrong array shape, or is not finite.
    """
    check_clouds("the first set", a)
    others = a if b is None else b
    check_clouds("the second set", others)
    center = (a.mean(dim=(0, 1)) + others.mean(dim=(0, 1))) / 2
    left = left_factor(a - center)
    right = right_factor(others - center).permute(2, 0, 1).contiguous()  # 5 × shapes × points
    count, points = others.shape[:2]
    rows, columns = (
        (CPU_ROWS, CPU_COLUMNS)
        if a.device.type == "cpu"
        else (ACCELERATOR_ROWS, ACCELERATOR_COLUMNS)
    )
    group = max(1, columns // points)

    result = a.new_zeros(len(a), count)
    for i, cloud in enumerate(left):
        for j in range(0 if b is not None else i + 1, count, group):
            result[i, j : j + group] = _chamfer_to_each(cloud, right[:, j : j + group], rows)
        if progress is not None:
            remaining = len(a) - 1 - i
            progress(1 - (remaining / len(a) if b is not None else remaining**2 / len(a) ** 2))
    return result if b is not None else result + result.T


def _chamfer_to_each(cloud: Tensor, others: Tensor, rows: int) -> Tensor:
    """The Chamfer distances from one cloud to several clouds.

    Args:
        cloud: Left factor of the cloud, (points, 5).
        others: Right factors of the other clouds, (5, shapes, points).
        rows: Number of rows of the left factor in one matrix product.
    """
    _, shapes, points = others.shape
    flat = others.reshape(5, shapes * points)
    from_cloud, to_cloud = [], flat.new_full((shapes * points,), torch.inf)
    for block in cloud.split(rows):
        squared = block @ flat
        from_cloud.append(squared.view(-1, shapes, points).amin(dim=2))
        to_cloud = torch.minimum(to_cloud, squared.amin(dim=0))
    forward = torch.cat(from_cloud).clamp_min(0).mean(dim=0)
    return forward + to_cloud.view(shapes, points).clamp_min(0).mean(dim=1)
