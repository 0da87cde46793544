"""A function of many poses, asked of some poses at a time, so that each part fits a cache.

Parts also keep several cores busy better than the operations inside one do: these are so small that
threads which share one mostly wait for each other.
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
"""Poses that go through a network together, at most."""

_FEWEST = 128
"""Poses that are worth a thread."""


def in_parts(function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> tuple[Tensor, ...]:
    """What a function gives for tensors, part by part along their first axis, joined.

    On the CPU parts are calculated by as many threads as torch is set to use, each by itself.

    Args:
        function: of tensors with a common first axis; each row of its results depends on the same
            row of the arguments alone.
        tensors: its arguments.
    """
    rows, threads = len(tensors[0]), 1
    if tensors[0].device.type == "cpu":
        threads = min(torch.get_num_threads(), max(1, math.ceil(rows / _FEWEST)))
    # As many for each thread, so that none waits for another at the end.
    rounds = max(1, math.ceil(rows / (AT_ONCE * threads)))
    size = max(1, math.ceil(rows / (rounds * threads)))
    parts = list(zip(*(tensor.split(size) for tensor in tensors), strict=True))
    if threads == 1:
        results = [function(*part) for part in parts]
    else:
        results = _by_threads(function, parts, threads)
    return tuple(torch.cat(each) for each in zip(*results, strict=True))


def _by_threads(
    function: Callable[..., tuple[Tensor, ...]], parts: list[tuple[Tensor, ...]], threads: int
) -> list[tuple[Tensor, ...]]:
    before, gradients = torch.get_num_threads(), torch.is_grad_enabled()

    def each(part: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with torch.set_grad_enabled(gradients):  # each thread has a mode of its own
            return function(*part)

    try:
        return list(_pool(threads).map(each, parts))
    finally:
        torch.set_num_threads(before)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """So many threads, each of which calculates by itself.

    They are kept, as torch keeps its own: a new thread begins with memory of its own, the pages of
    which it touches for the first time, and for a thousand poses that takes a third of the time.
    """
    # In a thread this sets the number for that thread, and for those that will be started.
    return ThreadPoolExecutor(threads, "parts", torch.set_num_threads, (1,))


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has none of its parent's threads
