"""Evaluation of a function of many poses in chunks that fit into a processor's cache.

Threads that compute different chunks in parallel use the cores well. Threads that share the small
operations of a single chunk would mostly wait for one another.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

AT_ONCE = 512
"""Largest number of poses in a chunk. A network is evaluated for all poses of a chunk together."""

_FEWEST = 128
"""Smallest number of poses for which an additional thread is worthwhile."""


def in_chunks(function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> tuple[Tensor, ...]:
    """Apply a function to chunks of tensors along their first axis, and join the results.

    On a CPU, several threads compute chunks in parallel, at most `torch.get_num_threads()`.

    Args:
        function: Function that takes and returns tensors with a common first axis. Row i of its
            results must depend only on row i of its arguments.
        tensors: Arguments of the function.
    """
    rows, threads = len(tensors[0]), 1
    if tensors[0].device.type == "cpu":
        threads = min(torch.get_num_threads(), max(1, math.ceil(rows / _FEWEST)))
    # Every thread gets the same number of chunks, so no thread waits for another at the end.
    rounds = max(1, math.ceil(rows / (AT_ONCE * threads)))
    size = max(1, math.ceil(rows / (rounds * threads)))
    chunks = list(zip(*(tensor.split(size) for tensor in tensors), strict=True))
    if threads == 1:
        results = [function(*chunk) for chunk in chunks]
    else:
        results = _by_threads(function, chunks, threads)
    return tuple(torch.cat(each) for each in zip(*results, strict=True))


def _by_threads(
    function: Callable[..., tuple[Tensor, ...]], chunks: list[tuple[Tensor, ...]], threads: int
) -> list[tuple[Tensor, ...]]:
    before, gradients = torch.get_num_threads(), torch.is_grad_enabled()

    def each(chunk: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with torch.set_grad_enabled(gradients):  # each thread has its own gradient mode
            return function(*chunk)

    try:
        return list(_pool(threads).map(each, chunks))
    finally:
        torch.set_num_threads(before)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return a pool of threads, in which torch operations do not start further threads.

    Later calls return the existing pool, because new threads are slow: they have to allocate fresh
    memory pages, which takes a third of the computing time for a thousand poses.
    """
    # `torch.set_num_threads` affects the thread that calls it and all threads started later.
    return ThreadPoolExecutor(threads, "chunks", torch.set_num_threads, (1,))


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process lacks the threads
