"""Randomness as an argument: draws that depend on a generator and on nothing else.

A *generator* is either one `torch.Generator`, whose draws fill a whole batch, or a sequence of
generators, one a sample. With the latter, sample `i` depends on generator `i` alone and therefore
not on the batch it was drawn in. Numbers are always drawn on the generator's own device and then
moved, so that a CPU generator gives the same numbers for every device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Generator = torch.Generator | Sequence[torch.Generator]


def seeded(*words: int) -> torch.Generator:
    """A CPU generator whose stream is a function of the given integers, e.g. `(seed, step)`.

    The words are mixed by NumPy's `SeedSequence`, so neighbouring words give unrelated streams.

    Args:
        words: one or more integers, at least 0 each.
    """
    import numpy as np

    state = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


def spawn(generator: torch.Generator, count: int) -> list[torch.Generator]:
    """`count` independent CPU generators, seeded by draws from `generator`.

    The first `n` of them are the same whatever `count` is.
    """
    seeds = [
        int(torch.randint(2**62, (), generator=generator, device=generator.device))
        for _ in range(count)
    ]
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def normal(
    shape: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Standard normal numbers of the given shape.

    Args:
        shape: the shape; with a sequence of generators, `shape[0]` is their number.
        generator: one generator, or one for each entry of the first axis.
        dtype: type of the result.
        device: device of the result.

    Raises:
        ValueError: if there is no generator, or not one for each entry.
    """
    return _draw(torch.randn, shape, generator, dtype).to(device)


def uniform(
    shape: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Numbers uniform on [0, 1); arguments as for `normal`."""
    return _draw(torch.rand, shape, generator, dtype).to(device)


def _draw(
    draw: Callable[..., Tensor],
    shape: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype,
) -> Tensor:
    if generator is None:
        raise ValueError("this draw is random: expected generator=, got None")
    if isinstance(generator, torch.Generator):
        return draw(tuple(shape), generator=generator, dtype=dtype, device=generator.device)
    if len(generator) != shape[0]:
        raise ValueError(f"expected {shape[0]} generators, one a sample, got {len(generator)}")
    each = [draw(tuple(shape[1:]), generator=g, dtype=dtype, device=g.device) for g in generator]
    return torch.stack(each)
