"""Randomness as an argument: draws that depend on a generator and on nothing else.

A *generator* is either one `torch.Generator`, whose draws fill a whole batch, or a sequence of
generators, one a sample. With the latter, sample `i` depends on generator `i` alone and therefore
not on the batch it was drawn in. Numbers are always drawn on the generator's own device and then
moved, so that a CPU generator gives the same numbers for every device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pcdiff.errors import InputError

Generator = torch.Generator | Sequence[torch.Generator]


def seeded(*words: int) -> torch.Generator:
    """A CPU generator whose stream is a function of the given integers, e.g. `(seed, step)`.

    The words are mixed by NumPy's `SeedSequence`, so neighbouring words give unrelated streams.
    Of up to four words, zeros at the end do not count: `seeded(s, 0)` is the stream of `seeded(s)`.

    Args:
        words: one or more integers from 0 to 2³² − 1.

    Raises:
        InputError: if a word is outside that range; a longer one would be read as two.
    """
    import numpy as np

    for word in words:
        if not 0 <= word < 2**32:
            raise InputError(f"seed: expected 0 to {2**32 - 1}, got {word}")

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


@contextlib.contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Inside, torch initialises modules as a function of `seed`.

    It draws weights from its global generator, which is left as it was.
    """
    with torch.random.fork_rng(devices=[]):  # noqa: TID251 - what it draws is fenced in
        torch.default_generator.manual_seed(seed)
        yield


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
        InputError: if there is no generator, or not one for each entry.
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
        raise InputError("this draw is random: expected generator=, got None")
    if isinstance(generator, torch.Generator):
        return draw(tuple(shape), generator=generator, dtype=dtype, device=generator.device)
    if len(generator) != shape[0]:
        raise InputError(f"expected {shape[0]} generators, one a sample, got {len(generator)}")
    each = [draw(tuple(shape[1:]), generator=g, dtype=dtype, device=g.device) for g in generator]
    return torch.stack(each)
