"""A function of many poses, evaluated a chunk at a time, so that each chunk fits a cache.

Chunks also keep several cores busier than the operations inside one do: these are so small that
threads sharing an operation mostly wait for one another.
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
"""Largest number of poses that go through a network together."""

_FEWEST = 128
"""Smallest number of poses that is worth a thread."""


def in_chunks(function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> tuple[Tensor, ...]:
    """The results of a function for chunks of tensors along their first axis, joined.

    On a CPU, chunks are computed by as many threads as torch is set to use, each on its own.

    Args:
        function: Function of tensors with a common first axis. Each row of its results must depend
            on the same row of the arguments alone.
        tensors: Arguments of the function.
    """
    rows, threads = len(tensors[0]), 1
    if tensors[0].device.type == "cpu":
        threads = min(torch.get_num_threads(), max(1, math.ceil(rows / _FEWEST)))
    # Each thread gets equally many chunks, so that none waits for another at the end.
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
    """A pool of threads, each of which computes on its own.

    The threads are kept, as torch keeps its own. A new thread touches fresh memory pages, which for
    a thousand poses takes a third of the time.
    """
    # When a thread calls it, torch sets the number for that thread and for threads started later.
    return ThreadPoolExecutor(threads, "chunks", torch.set_num_threads, (1,))


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork does not inherit threads
