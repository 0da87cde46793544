"""Randomness as an argument: draws that depend on a generator and on nothing else.

A *generator* is either one `torch.Generator`, whose draws fill a whole batch, or a sequence of
generators, one per sample. With a sequence, sample `i` depends on generator `i` alone and not on
the batch in which it is drawn. Numbers are always drawn on the generator's own device and then
moved, so a CPU generator gives the same numbers for every device.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pcdiff.errors import InputError

Generator = torch.Generator | Sequence[torch.Generator]

_GLOBAL_GENERATOR = threading.RLock()
"""Held while torch's global generator is changed, so that threads do not mix their weights."""


def seeded(*words: int) -> torch.Generator:
    """Make a CPU generator whose numbers depend only on given integers, such as `(seed, step)`.

    NumPy's `SeedSequence` mixes the integers, so neighbouring integers give unrelated random
    numbers. With at most four integers, trailing zeros do not count: `seeded(s, 0)` draws the same
    numbers as `seeded(s)`.

    Args:
        words: One or more integers from 0 to 2³² − 1.

    Raises:
        InputError: If an integer is outside that range, because NumPy would read a larger one as
            two.
    """
    import numpy as np

    for word in words:
        if not 0 <= word < 2**32:
            raise InputError(f"a seed must be from 0 to {2**32 - 1}, got {word}")

    state = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


def spawn(generator: torch.Generator, count: int) -> list[torch.Generator]:
    """Make `count` independent CPU generators, seeded by draws from `generator`.

    The first `n` generators do not depend on `count`.
    """
    seeds = [
        int(torch.randint(2**62, (), generator=generator, device=generator.device))
        for _ in range(count)
    ]
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def repeat(generator: Generator, count: int) -> Generator:
    """Return generators for a batch in which each sample is repeated `count` times in a row.

    Args:
        generator: One generator, which is returned as it is, or one per sample, each of which
            then serves all copies of its sample in turn.
        count: Number of copies of each sample.
    """
    if isinstance(generator, torch.Generator):
        return generator
    return [each for each in generator for _ in range(count)]


@contextlib.contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Make torch's initial weights of modules depend only on `seed` in a `with` block.

    torch draws weights from its global generator, whose state is restored at the end.
    """
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):  # noqa: TID251 - the global state is restored
        torch.default_generator.manual_seed(seed)
        yield


def normal(
    shape: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw standard normal numbers of the given shape.

    Args:
        shape: Shape of the result; with a sequence of generators, `shape[0]` is their number.
        generator: One generator, or one per entry of the first axis.
        dtype: Data type of the result.
        device: Device of the result.

    Raises:
        InputError: If there is no generator, or if the number of generators differs from that of
            the entries.
    """
    return _draw(torch.randn, shape, generator, dtype, device)


def uniform(
    shape: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw uniform numbers on [0, 1) of the given shape.

    Args:
        shape: Shape of the result; with a sequence of generators, `shape[0]` is their number.
        generator: One generator, or one per entry of the first axis.
        dtype: Data type of the result.
        device: Device of the result.

    Raises:
        InputError: If there is no generator, or if the number of generators differs from that of
            the entries.
    """
    return _draw(torch.rand, shape, generator, dtype, device)


def _draw(
    draw: Callable[..., Tensor],
    shape: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype,
    device: torch.device | str,
) -> Tensor:
    numbers = _drawn(draw, shape, generator, dtype)
    # A non-blocking copy does not wait for the GPU. It is unsafe only from the GPU to the CPU.
    return numbers.to(device, non_blocking=torch.device(device).type == "cuda")


def _drawn(
    draw: Callable[..., Tensor],
    shape: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype,
) -> Tensor:
    """Draw numbers on the generator's device."""
    if generator is None:
        raise InputError("random numbers need a generator, got None")
    if isinstance(generator, torch.Generator):
        return draw(tuple(shape), generator=generator, dtype=dtype, device=generator.device)
    if len(generator) != shape[0]:
        raise InputError(f"expected {shape[0]} generators, one per sample, got {len(generator)}")
    each = [draw(tuple(shape[1:]), generator=g, dtype=dtype, device=g.device) for g in generator]
    return torch.stack(each)
