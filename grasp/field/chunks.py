"""Evaluate a function of many poses chunk by chunk, so that each chunk fits into a cache.

Computing several chunks in parallel also keeps cores busier than sharing the operations inside one
chunk: these are so small that threads would mostly wait for one another.
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
"""Smallest number of poses for which an additional thread is worthwhile."""


def in_chunks(function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> tuple[Tensor, ...]:
    """Apply a function to chunks of tensors along their first axis, and join the results.

    On a CPU, as many threads as torch is set to use compute chunks in parallel.

    Args:
        function: Function of tensors with a common first axis. Each row of its results must depend
            only on the same row of the arguments.
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
    """Return a pool of threads in each of which torch uses a single thread.

    The pool is reused, just as torch reuses its own threads. A new thread has to touch fresh memory
    pages, which for a thousand poses takes a third of the time.
    """
    # When a thread calls it, torch sets the number for that thread and for threads started later.
    return ThreadPoolExecutor(threads, "chunks", torch.set_num_threads, (1,))


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork does not inherit threads
