"""Nearest neighbours and farthest points, with the names and the behaviour of PyTorch3D.

Distances are squared, in the squared unit of the clouds. Neighbours are found with the identity
|p − q|² = |p|² − 2p·q + |q|². The identity gives all distances between two clouds as one product of
matrices; for 3D points, the first matrix has five columns. Both clouds are first moved to a common
centre, because a large offset would reduce the precision.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_finite

# Size of the block of distances that is in memory at one time. On a CPU, a block that fits into the
# second-level cache of a core is processed three times as fast. An accelerator needs large blocks.
CPU_ROWS, CPU_COLUMNS = 8, 2**13


ACCELERATOR_ROWS, ACCELERATOR_COLUMNS = 2**10, 2**16


class KNN(NamedTuple):
    """The `K` nearest neighbours of each point, nearest first.

    Attributes:
        dists: Squared distances, (batch, points1, K).
        idx: Indices of the neighbours in the second clouds, (batch, points1, K).
        knn: Coordinates of the neighbours, (batch, points1, K, dims); None if not requested.
    """

    dists: Float[Tensor, "batch points1 K"]
    idx: Int[Tensor, "batch points1 K"]
    knn: Float[Tensor, "batch points1 K dims"] | None


def knn_points(
    p1: Float[Tensor, "batch points1 dims"],
    p2: Float[Tensor, "batch points2 dims"],
    lengths1: Int[Tensor, " batch"] | None = None,
    lengths2: Int[Tensor, " batch"] | None = None,
    K: int = 1,
    return_nn: bool = False,
) -> KNN:
    """Find the `K` nearest points of `p2[n]` for each point of `p1[n]`.

    The function covers a part of `pytorch3d.ops.knn_points`: Euclidean distances (norm 2), always
    sorted. As in PyTorch3D, the distances are differentiable, and `dists` and `idx` are 0 at
    invalid points of `p1` and at missing neighbours in clouds of `p2` with fewer than `K` points.

    In float32, the distances that select the neighbours have an error of approximately 1e-6 r²,
    where r is the radius of the clouds. The returned distances have full precision.

    Args:
        p1: First clouds; the function finds neighbours for each of their points.
        p2: Second clouds, which contain the neighbours.
        lengths1: Number of valid points in each cloud of `p1`; None if all points are valid.
        lengths2: Number of valid points in each cloud of `p2`; None if all points are valid.
        K: Number of neighbours, at least 1.
        return_nn: True to also return the coordinates of the neighbours.

    Raises:
        InputError: If the clouds differ in batch size, dimension or data type, are empty or contain
            a number that is not finite, or if a length or `K` is out of range.
    """
    if p1.ndim != 3 or p2.ndim != 3 or p1.shape[::2] != p2.shape[::2]:
        raise InputError(
            "nearest neighbours need clouds (batch, points, dims) with equal batch and dims, got "
            f"shapes {tuple(p1.shape)} and {tuple(p2.shape)}"
        )
    if 0 in p1.shape or 0 in p2.shape:
        raise InputError(
            f"the clouds must not be empty, got shapes {tuple(p1.shape)} and {tuple(p2.shape)}"
        )
    check_finite("the first clouds", p1)
    check_finite("the second clouds", p2)
    if p1.dtype != p2.dtype:
        raise InputError(f"both clouds must have one data type, got {p1.dtype} and {p2.dtype}")
    if K < 1:
        raise InputError(f"the number of neighbours must be at least 1, got {K}")
    counts1 = checked_lengths("the first lengths", lengths1, p1)
    counts2 = checked_lengths("the second lengths", lengths2, p2)

    idx = _nearest_indices(p1.detach(), p2.detach(), counts2, min(K, p2.shape[1]))
    if idx.shape[2] < K:
        idx = torch.nn.functional.pad(idx, (0, K - idx.shape[2]))
    dists = (p1[:, :, None] - _gather(p2, idx)).square().sum(dim=-1)
    absent = (torch.arange(K, device=p1.device) >= counts2[:, None])[:, None]
    # Neighbours at nearly equal distances may be in the wrong order. Missing neighbours stay last.
    order = dists.detach().masked_fill(absent, torch.inf).argsort(dim=-1, stable=True)
    padding = absent | ~_mask(counts1, p1)[..., None]
    dists = dists.gather(-1, order).masked_fill(padding, 0)
    idx = idx.gather(-1, order).masked_fill(padding, 0)
    neighbours = _gather(p2, idx).masked_fill(padding[..., None], 0) if return_nn else None
    return KNN(dists, idx, neighbours)


def sample_farthest_points(
    points: Float[Tensor, "batch points dims"],
    lengths: Int[Tensor, " batch"] | None = None,
    K: int = 50,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "batch K dims"], Int[Tensor, "batch K"]]:
    """Choose `K` points of each cloud by farthest point sampling.

    Each chosen point is as far as possible from all earlier points (Qi et al., PointNet++, NeurIPS
    2017). Among equally far points, the point with the lowest index is chosen. The function covers
    a part of `pytorch3d.ops.sample_farthest_points`, with one `K` for all clouds and with a
    generator instead of `random_start_point`.

    Args:
        points: Clouds to choose from.
        lengths: Number of valid points in each cloud; None if all points are valid.
        K: Number of points to choose, at least 1.
        generator: Generator that draws the first point of each cloud; None to start at index 0.

    Returns:
        The chosen points and their indices. If a cloud has fewer than `K` points, the points are
        padded with 0 and the indices with −1.

    Raises:
        InputError: If the clouds are empty or not finite, if they do not have three axes, or if a
            length or `K` is out of range.
    """
    if points.ndim != 3 or 0 in points.shape:
        raise InputError(
            "farthest points need clouds (batch, points, dims) that are not empty, got shape "
            f"{tuple(points.shape)}"
        )
    check_finite("the clouds", points)
    if K < 1:
        raise InputError(f"the number of points to choose must be at least 1, got {K}")
    counts = checked_lengths("the lengths", lengths, points)

    batch = torch.arange(len(points), device=points.device)
    chosen = torch.zeros_like(counts)
    if generator is not None:
        draws = torch.rand(
            len(points), generator=generator, device=generator.device, dtype=torch.float64
        )
        chosen = (draws.to(points.device) * counts).long()
    positions = points.detach()
    # Distance to the nearest chosen point. The distance −1 excludes invalid points from the choice.
    distance = positions.new_full(points.shape[:2], torch.inf)
    distance = distance.masked_fill(~_mask(counts, points), -1)
    indices = [chosen]
    for _ in range(1, K):
        step = (positions - positions[batch, chosen, None]).square().sum(dim=-1)
        distance = torch.minimum(distance, step)
        # No point is chosen twice, even if all remaining points coincide with chosen points.
        distance[batch, chosen] = -1
        chosen = distance.argmax(dim=1)
        indices.append(chosen)
    idx = torch.stack(indices, dim=1)
    padding = torch.arange(K, device=points.device) >= counts[:, None]
    selected = _gather(points, idx[..., None])[:, :, 0].masked_fill(padding[..., None], 0)
    return selected, idx.masked_fill(padding, -1)


def left_factor(p: Tensor) -> Tensor:
    """Return [−2p, |p|², 1], whose product with `right_factor(q)` is |p − q|²."""
    square = p.square().sum(dim=-1, keepdim=True)
    return torch.cat([-2 * p, square, torch.ones_like(square)], dim=-1)


def right_factor(q: Tensor) -> Tensor:
    """Return [q, 1, |q|²], the second factor of the product in `left_factor`."""
    square = q.square().sum(dim=-1, keepdim=True)
    return torch.cat([q, torch.ones_like(square), square], dim=-1)


@torch.no_grad()
def _nearest_indices(p1: Tensor, p2: Tensor, counts2: Tensor, k: int) -> Tensor:
    mask = _mask(counts2, p2)[..., None]
    center = p2.masked_fill(~mask, 0).sum(dim=1, keepdim=True) / counts2[:, None, None]
    left = left_factor(p1 - center)
    right = right_factor(p2 - center).transpose(1, 2)
    budget = (
        CPU_ROWS * CPU_COLUMNS
        if p1.device.type == "cpu"
        else ACCELERATOR_ROWS * ACCELERATOR_COLUMNS
    )
    rows = max(1, budget // (len(p2) * p2.shape[1]))
    absent = ~mask.transpose(1, 2)
    return torch.cat(
        [
            (block @ right).masked_fill_(absent, torch.inf).topk(k, dim=2, largest=False).indices
            for block in left.split(rows, dim=1)
        ],
        dim=1,
    )


def _gather(points: Tensor, idx: Tensor) -> Tensor:
    """Return `points[n, idx[n, i, k]]` for all n, i and k, (batch, i, k, dims)."""
    batch = torch.arange(len(points), device=points.device)[:, None, None]
    return points[batch, idx]


def checked_lengths(name: str, lengths: Tensor | None, points: Tensor) -> Tensor:
    """Check the number of valid points in each cloud and return the numbers as a tensor.

    Args:
        name: Name of the lengths in the error message.
        lengths: Number of valid points in each cloud; None if all points are valid.
        points: Clouds with these lengths.

    Raises:
        InputError: If there is not one length per cloud, or a length is out of range.
    """
    if lengths is None:
        return torch.full((len(points),), points.shape[1], device=points.device)
    if lengths.shape != points.shape[:1]:
        raise InputError(
            f"{name} must have shape ({len(points)},), one per cloud, got {tuple(lengths.shape)}"
        )
    if not ((lengths >= 1) & (lengths <= points.shape[1])).all():
        raise InputError(f"{name} must lie between 1 and {points.shape[1]}, got {lengths.tolist()}")
    return lengths.to(points.device, torch.int64)


def _mask(counts: Tensor, points: Tensor) -> Tensor:
    """Return a mask, (batch, points), that is True for valid points."""
    return torch.arange(points.shape[1], device=points.device) < counts[:, None]
