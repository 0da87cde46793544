"""The earth mover's distance between point clouds: the exact value, and a cheap lower bound.

EMD(a, b) = min over one-to-one matchings φ of mean_i |a_i − b_φ(i)|, the mean Euclidean distance
(not squared), as in PointFlow (Yang et al., ICCV 2019). The dual problem maximises
mean(f) + mean(g) over potentials f and g with f_i + g_j ≤ |a_i − b_j|.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_clouds

# Entropic temperatures as fractions of the largest cost, and the number of Sinkhorn iterations at
# each temperature. For the exact distance, these numbers affect only the speed.
_EXACT_TEMPERATURES, _EXACT_ITERATIONS = (1 / 25, 1 / 100, 1 / 400), 20
_APPROXIMATE_TEMPERATURES, _APPROXIMATE_ITERATIONS = (1 / 25, 1 / 100, 1 / 400, 1 / 1600), 40


def earth_mover_distance(a: Float[Tensor, "points 3"], b: Float[Tensor, "points 3"]) -> float:
    """The exact earth mover's distance between two clouds, in the clouds' unit.

    SciPy's `linear_sum_assignment` (shortest augmenting paths, Crouse 2016) finds the best matching
    in float64. Approximate dual potentials are first subtracted from the costs, which makes the
    solver approximately twice as fast. The subtraction changes the total cost of every matching by
    one constant, so the best matching does not change.

    Args:
        a: The first cloud.
        b: The second cloud, with as many points as the first.

    Raises:
        InputError: If the clouds have different numbers of points, no points, a wrong array shape,
            or a number that is not finite.
    """
    if a.ndim != 2 or b.ndim != 2:
        raise InputError(
            f"each cloud must have shape (points, 3), got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    _check_pair(a[None], b[None])
    return float(_distances_to_each(_as_array(a), [_as_array(b)])[0])


def pairwise_earth_mover(
    a: Float[Tensor, "shapes1 points 3"],
    b: Float[Tensor, "shapes2 points 3"] | None = None,
    executor: Executor | None = None,
    progress: Callable[[float], None] | None = None,
) -> Float[Tensor, "shapes1 columns"]:
    """Compute the exact earth mover's distances between all clouds of one set and of another set.

    Args:
        a: The first set.
        b: The second set; None compares the first set with itself at half the cost.
        executor: Processes from `earth_mover_workers` that compute rows in parallel; None uses only
            the current process. Threads would not help, because SciPy's solver does not release
            the interpreter's lock.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Returns:
        The distances in the clouds' unit, float64 on the CPU. If `b` is None, the matrix is
        symmetric and its diagonal is 0.

    Raises:
        InputError: If a set is empty, has a wrong array shape or is not finite, or the clouds of
            the two sets have different numbers of points.
    """
    others = a if b is None else b
    _check_pair(a, others)
    columns = _as_array(others)
    tasks = [
        (_as_array(cloud), list(columns if b is not None else columns[i + 1 :]))
        for i, cloud in enumerate(a)
    ]
    result = np.zeros((len(a), len(columns)))
    solve: Any = map if executor is None else executor.map
    total, done = sum(len(task[1]) for task in tasks), 0
    for i, row in enumerate(solve(_solve, tasks)):
        if len(row):
            result[i, -len(row) :] = row
        done += len(row)
        if progress is not None:
            progress(done / max(total, 1))
    return torch.from_numpy(result if b is not None else result + result.T)


@contextlib.contextmanager
def earth_mover_workers(count: int) -> Iterator[Executor | None]:
    """Start processes for calls of `pairwise_earth_mover`, and end the processes on exit.

    Python spawns the processes, because forking a process with running threads can deadlock. A
    script that calls this function therefore needs the usual guard `if __name__ == "__main__":`.

    Args:
        count: Number of processes, at least 1.

    Yields:
        The executor for `pairwise_earth_mover`, or None if the count is 1.

    Raises:
        InputError: If the count is less than 1.
    """
    if count < 1:
        raise InputError(f"the number of workers must be at least 1, got {count}")
    if count == 1:
        yield None
        return
    with ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=partial(torch.set_num_threads, 1)
    ) as executor:
        yield executor


def approximate_earth_mover_distance(
    a: Float[Tensor, "*batch points 3"], b: Float[Tensor, "*batch points 3"]
) -> Float[Tensor, "*batch"]:
    """A lower bound on the earth mover's distance of each pair of clouds, in the clouds' unit.

    Annealed Sinkhorn iterations (Cuturi 2013; Schmitzer 2019) in float32 give dual potentials,
    which are then corrected to satisfy all constraints. Therefore the bound never exceeds the exact
    distance, except by rounding. Use the bound for many pairs on an accelerator, or for clouds that
    are too large for the exact distance. On a CPU, the exact distance of 512 points is not slower.

    Over 50 pairs of clouds with 512 points, the bound was below the exact distance by
    0.20 % on average and at most 0.96 % for box-normalised real chairs (ModelNet10, test split),
    0.12 % on average and at most 0.35 % for standard Gaussian clouds, and
    0.23 % on average and at most 0.57 % for uniform clouds in a cube.

    Args:
        a: The first clouds.
        b: The second clouds, with as many points as the first.

    Raises:
        InputError: If the clouds have different numbers of points, no points, a wrong array shape,
            or a number that is not finite.
    """
    if a.shape != b.shape or a.ndim < 2:
        raise InputError(
            "the clouds must have equal shapes (..., points, 3), got "
            f"{tuple(a.shape)} and {tuple(b.shape)}"
        )
    check_clouds("the first clouds", a[None].flatten(0, -3))
    check_clouds("the second clouds", b[None].flatten(0, -3))
    f, g = _dual_potentials(_costs(a, b), _APPROXIMATE_TEMPERATURES, _APPROXIMATE_ITERATIONS)
    return f.mean(dim=(-2, -1)) + g.mean(dim=(-2, -1))


@torch.no_grad()
def _dual_potentials(
    cost: Float[Tensor, "*batch rows columns"], temperatures: tuple[float, ...], iterations: int
) -> tuple[Float[Tensor, "*batch rows 1"], Float[Tensor, "*batch 1 columns"]]:
    """Potentials f and g with f_i + g_j ≤ cost_ij and a nearly maximal sum.

    At each temperature, the current potentials are first subtracted from the cost, so that the
    smallest entry of every row and column of the reduced cost is 0. Sinkhorn iterations then scale
    K = exp(−reduced cost / temperature), and the potentials change by temperature · log(scaling).
    Exponents are clamped to at least −60, which keeps the scaling within the range of float32. The
    clamp costs no accuracy, because the best matching does not use such high costs.
    """
    largest = cost.amax(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(cost.dtype).tiny)
    g = torch.zeros_like(cost[..., :1, :])
    for temperature in temperatures:
        epsilon = temperature * largest
        f = (cost - g).amin(dim=-1, keepdim=True)
        g = (cost - f).amin(dim=-2, keepdim=True)
        kernel = ((f + g - cost) / epsilon).clamp_min(-60).exp()
        transposed = kernel.mT.contiguous()
        u = torch.ones_like(f)
        for _ in range(iterations):
            v = 1 / (transposed @ u)
            u = 1 / (kernel @ v)
        g = g + epsilon * v.mT.log()
    return (cost - g).amin(dim=-1, keepdim=True), g


def _distances_to_each(
    cloud: NDArray[np.float64], others: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    from scipy.optimize import linear_sum_assignment

    distances = np.empty(len(others))
    for j, other in enumerate(others):
        cost = _costs(torch.from_numpy(cloud), torch.from_numpy(other))
        f, g = _dual_potentials(cost.float(), _EXACT_TEMPERATURES, _EXACT_ITERATIONS)
        matching = linear_sum_assignment((cost - f - g).numpy())
        distances[j] = cost.numpy()[matching].mean()
    return distances


def _solve(task: tuple[NDArray[np.float64], list[NDArray[np.float64]]]) -> NDArray[np.float64]:
    return _distances_to_each(*task)


def _costs(a: Tensor, b: Tensor) -> Tensor:
    # No matrix product: after the root, its rounding error would be 1e-3 in float32.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _as_array(clouds: Tensor) -> NDArray[np.float64]:
    return clouds.detach().cpu().double().numpy()


def _check_pair(a: Tensor, b: Tensor) -> None:
    check_clouds("the first set", a)
    check_clouds("the second set", b)
    if a.shape[1] != b.shape[1]:
        raise InputError(
            "the earth mover's distance needs clouds with the same number of points, got "
            f"{a.shape[1]} and {b.shape[1]} points"
        )
