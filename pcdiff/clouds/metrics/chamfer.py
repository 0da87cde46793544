"""Nearest neighbours and the Chamfer distance, with PyTorch3D's names and semantics.

Distances are squared throughout, in the square of the clouds' unit. Candidates are found with
|p − q|² = |p|² − 2p·q + |q|², one matrix product with five columns, after both clouds were moved to
a common centre: without that the identity loses the digits that the offset takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcdiff.clouds.metrics.checks import check_clouds, check_finite
from pcdiff.errors import InputError

# Distances held at a time: a block that stays in a core's second-level cache is three times as
# fast to reduce as one that does not; an accelerator wants blocks that fill it.
_CPU_ROWS, _CPU_COLUMNS = 8, 2**13
_ACCELERATOR_ROWS, _ACCELERATOR_COLUMNS = 2**10, 2**16


class KNN(NamedTuple):
    """The `K` nearest neighbours of each point, nearest first.

    Attributes:
        dists: squared distances, (batch, points1, K).
        idx: indices into the second clouds, (batch, points1, K).
        knn: the neighbours themselves, (batch, points1, K, dims), or None if not asked for.
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
    """The `K` nearest points of `p2[n]` for each point of `p1[n]`.

    A subset of `pytorch3d.ops.knn_points`: norm 2, always sorted. As there, `dists` and `idx` are
    0 where a cloud of `p1` has no point or a cloud of `p2` has fewer than `K`, and the distances
    are differentiable. Neighbours are chosen with an error of about 1e-6 r² in float32, r being the
    clouds' radius; the distances of those chosen are then computed to full precision.

    Args:
        p1: the points that ask.
        p2: the points among which neighbours are found.
        lengths1: how many points of each cloud of `p1` count; None for all.
        lengths2: the same for `p2`.
        K: number of neighbours, at least 1.
        return_nn: whether to return the neighbours' coordinates too.

    Raises:
        InputError: the clouds do not fit together, hold no point or a NaN, or lengths or `K` are
            out of range.
    """
    if p1.ndim != 3 or p2.ndim != 3 or p1.shape[::2] != p2.shape[::2]:
        raise InputError(
            "nearest neighbours need clouds (batch, points, dims) with equal batch and dims, got "
            f"{tuple(p1.shape)} and {tuple(p2.shape)}"
        )
    if 0 in p1.shape or 0 in p2.shape:
        raise InputError(
            f"the clouds must not be empty, got {tuple(p1.shape)} and {tuple(p2.shape)}"
        )
    check_finite("the first clouds", p1)
    check_finite("the second clouds", p2)
    if p1.dtype != p2.dtype:
        raise InputError(f"the clouds must have one type, got {p1.dtype} and {p2.dtype}")
    if K < 1:
        raise InputError(f"the number of neighbours must be at least 1, got {K}")
    counts1 = _counts("the first lengths", lengths1, p1)
    counts2 = _counts("the second lengths", lengths2, p2)

    idx = _nearest_indices(p1.detach(), p2.detach(), counts2, min(K, p2.shape[1]))
    if idx.shape[2] < K:
        idx = torch.nn.functional.pad(idx, (0, K - idx.shape[2]))
    dists = (p1[:, :, None] - _gather(p2, idx)).square().sum(dim=-1)
    absent = (torch.arange(K, device=p1.device) >= counts2[:, None])[:, None]
    # Near ties may have been found in the wrong order; absent neighbours stay last.
    order = dists.detach().masked_fill(absent, torch.inf).argsort(dim=-1, stable=True)
    padding = absent | ~_mask(counts1, p1)[..., None]
    dists = dists.gather(-1, order).masked_fill(padding, 0)
    idx = idx.gather(-1, order).masked_fill(padding, 0)
    neighbours = _gather(p2, idx).masked_fill(padding[..., None], 0) if return_nn else None
    return KNN(dists, idx, neighbours)


def chamfer_distance(
    x: Float[Tensor, "batch points1 dims"],
    y: Float[Tensor, "batch points2 dims"],
    x_lengths: Int[Tensor, " batch"] | None = None,
    y_lengths: Int[Tensor, " batch"] | None = None,
    batch_reduction: Literal["mean", "sum"] | None = "mean",
    point_reduction: Literal["mean", "sum"] = "mean",
) -> tuple[Float[Tensor, ""] | Float[Tensor, " batch"], None]:
    """The Chamfer distance of each pair of clouds `x[n]`, `y[n]`.

    With the defaults, mean over x of min over y of |x − y|², plus mean over y of min over x. A
    subset of `pytorch3d.loss.chamfer_distance`: norm 2, no normals, no weights, both directions.

    Args:
        x: the first clouds.
        y: the second clouds.
        x_lengths: how many points of each cloud of `x` count; None for all.
        y_lengths: the same for `y`.
        batch_reduction: how the pairs' distances become one number; None leaves them apart.
        point_reduction: how the points' distances become one number.

    Returns:
        The loss, differentiable, and None where PyTorch3D puts the loss of the normals.

    Raises:
        InputError: the clouds do not fit together, hold no point or a NaN, a length is out of
            range, or a reduction has another name.
    """
    if batch_reduction not in ("mean", "sum", None):
        raise InputError(f"batch_reduction must be 'mean', 'sum' or None, got {batch_reduction!r}")
    if point_reduction not in ("mean", "sum"):
        raise InputError(f"point_reduction must be 'mean' or 'sum', got {point_reduction!r}")
    # Points beyond a cloud's length have distance 0, so the sums need no mask.
    from_x = knn_points(x, y, x_lengths, y_lengths).dists.sum(dim=(1, 2))
    from_y = knn_points(y, x, y_lengths, x_lengths).dists.sum(dim=(1, 2))
    if point_reduction == "mean":
        from_x = from_x / _counts("x_lengths", x_lengths, x)
        from_y = from_y / _counts("y_lengths", y_lengths, y)
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
    """The Chamfer distance between every cloud of one set and every cloud of another.

    Squared distances, mean of one direction plus mean of the other, by brute force; not
    differentiable. In float32 the error is about 2e-8 r², r being the sets' radius around their
    common mean: 4e-7 of the distance of two different chairs, so two equal clouds come out near
    1e-8 and not exactly 0. On an accelerator, leave TF32 products off: they are too coarse.

    Args:
        a: the first set.
        b: the second set; None for the first again, of which only half is then computed.
        progress: called now and then with the fraction that is done.

    Returns:
        The distances, (shapes of a, shapes of b); for one set symmetric with a diagonal of 0.

    Raises:
        InputError: a set is empty, of another shape, or not finite.
    """
    check_clouds("the first set", a)
    others = a if b is None else b
    check_clouds("the second set", others)
    center = (a.mean(dim=(0, 1)) + others.mean(dim=(0, 1))) / 2
    left = _left_factor(a - center)
    right = _right_factor(others - center).permute(2, 0, 1).contiguous()  # 5 × shapes × points
    count, points = others.shape[:2]
    rows, columns = (
        (_CPU_ROWS, _CPU_COLUMNS)
        if a.device.type == "cpu"
        else (_ACCELERATOR_ROWS, _ACCELERATOR_COLUMNS)
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


def sample_farthest_points(
    points: Float[Tensor, "batch points dims"],
    lengths: Int[Tensor, " batch"] | None = None,
    K: int = 50,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "batch K dims"], Int[Tensor, "batch K"]]:
    """Choose `K` points of each cloud, each as far as possible from those chosen before it.

    Farthest point sampling (Qi et al., PointNet++, NeurIPS 2017). A subset of
    `pytorch3d.ops.sample_farthest_points` with one `K` for all clouds; where PyTorch3D takes
    `random_start_point` this takes the generator to draw it from. Of equally far points the one
    with the lowest index is chosen.

    Args:
        points: the clouds.
        lengths: how many points of each cloud count; None for all.
        K: number of points to choose, at least 1.
        generator: draws each cloud's first point; None for the point with index 0.

    Returns:
        The chosen points and their indices; where a cloud has fewer than `K` points, padded with 0
        and −1.

    Raises:
        InputError: the clouds are empty, of another shape or not finite, or lengths or `K` are out
            of range.
    """
    if points.ndim != 3 or 0 in points.shape:
        raise InputError(
            "farthest points need clouds (batch, points, dims) that are not empty, got "
            f"{tuple(points.shape)}"
        )
    check_finite("the clouds", points)
    if K < 1:
        raise InputError(f"the number of points to choose must be at least 1, got {K}")
    counts = _counts("the lengths", lengths, points)

    batch = torch.arange(len(points), device=points.device)
    chosen = torch.zeros_like(counts)
    if generator is not None:
        draws = torch.rand(
            len(points), generator=generator, device=generator.device, dtype=torch.float64
        )
        chosen = (draws.to(points.device) * counts).long()
    positions = points.detach()
    # The distance to the nearest point chosen so far; a point that does not count is never far.
    distance = positions.new_full(points.shape[:2], torch.inf)
    distance = distance.masked_fill(~_mask(counts, points), -1)
    indices = [chosen]
    for _ in range(1, K):
        step = (positions - positions[batch, chosen, None]).square().sum(dim=-1)
        distance = torch.minimum(distance, step)
        # A chosen point has no distance left, even where all that remain coincide with it.
        distance[batch, chosen] = -1
        chosen = distance.argmax(dim=1)
        indices.append(chosen)
    idx = torch.stack(indices, dim=1)
    padding = torch.arange(K, device=points.device) >= counts[:, None]
    selected = _gather(points, idx[..., None])[:, :, 0].masked_fill(padding[..., None], 0)
    return selected, idx.masked_fill(padding, -1)


def _left_factor(p: Tensor) -> Tensor:
    """[−2p, |p|², 1], whose product with `_right_factor(q)` is |p − q|²."""
    square = p.square().sum(dim=-1, keepdim=True)
    return torch.cat([-2 * p, square, torch.ones_like(square)], dim=-1)


def _right_factor(q: Tensor) -> Tensor:
    """[q, 1, |q|²]."""
    square = q.square().sum(dim=-1, keepdim=True)
    return torch.cat([q, torch.ones_like(square), square], dim=-1)


def _chamfer_to_each(cloud: Tensor, others: Tensor, rows: int) -> Tensor:
    """Chamfer distances between a left factor (points, 5) and right factors (5, shapes, points)."""
    _, shapes, points = others.shape
    flat = others.reshape(5, shapes * points)
    from_cloud, to_cloud = [], flat.new_full((shapes * points,), torch.inf)
    for block in cloud.split(rows):
        squared = block @ flat
        from_cloud.append(squared.view(-1, shapes, points).amin(dim=2))
        to_cloud = torch.minimum(to_cloud, squared.amin(dim=0))
    forward = torch.cat(from_cloud).clamp_min(0).mean(dim=0)
    return forward + to_cloud.view(shapes, points).clamp_min(0).mean(dim=1)


@torch.no_grad()
def _nearest_indices(p1: Tensor, p2: Tensor, counts2: Tensor, k: int) -> Tensor:
    mask = _mask(counts2, p2)[..., None]
    center = p2.masked_fill(~mask, 0).sum(dim=1, keepdim=True) / counts2[:, None, None]
    left = _left_factor(p1 - center)
    right = _right_factor(p2 - center).transpose(1, 2)
    budget = (
        _CPU_ROWS * _CPU_COLUMNS
        if p1.device.type == "cpu"
        else _ACCELERATOR_ROWS * _ACCELERATOR_COLUMNS
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
    """`points[n, idx[n, i, k]]`: (batch, points, dims), (batch, i, k) -> (batch, i, k, dims)."""
    batch = torch.arange(len(points), device=points.device)[:, None, None]
    return points[batch, idx]


def _counts(name: str, lengths: Tensor | None, points: Tensor) -> Tensor:
    """How many points of each cloud count."""
    if lengths is None:
        return torch.full((len(points),), points.shape[1], device=points.device)
    if lengths.shape != points.shape[:1]:
        raise InputError(f"{name} must be one a cloud, {len(points)}, got {tuple(lengths.shape)}")
    if not ((lengths >= 1) & (lengths <= points.shape[1])).all():
        raise InputError(f"{name} must lie between 1 and {points.shape[1]}, got {lengths.tolist()}")
    return lengths.to(points.device, torch.int64)


def _mask(counts: Tensor, points: Tensor) -> Tensor:
    """Which points count: (batch, points)."""
    return torch.arange(points.shape[1], device=points.device) < counts[:, None]
