"""Random draws that depend only on a generator, which every function takes as an argument.

A *generator* is either one `torch.Generator`, which draws a whole batch, or a sequence of
`torch.Generator`, one per sample. With a sequence, sample `i` depends only on generator `i` and not
on the rest of the batch. Numbers are always drawn on the generator's own device and then moved, so
a CPU generator gives the same numbers for every device.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict

import torch
from torch import Tensor

from pcdiff.errors import InputError

Generator = torch.Generator | Sequence[torch.Generator]


class Seed(TypedDict, total=False):
    """The keyword argument `seed` of functions that also take a `generator`."""

    seed: int | None


_GLOBAL_GENERATOR = threading.RLock()
"""Lock on torch's global generator, so that only one thread at a time changes the generator."""


def seeded(*words: int) -> torch.Generator:
    """Make a CPU generator from one or more integers, such as `(seed, step)`.

    The generator depends only on the integers. NumPy's `SeedSequence` mixes them, so neighbouring
    integers give unrelated random numbers. If there are at most four integers, trailing zeros have
    no effect: `seeded(s, 0)` and `seeded(s)` draw equal numbers.

    Args:
        words: One or more integers from 0 to 2³² − 1.

    Raises:
        InputError: If an integer is negative or larger than 2³² − 1. NumPy would split a larger
            integer into two integers.
    """
    import numpy as np

    for word in words:
        if not 0 <= word < 2**32:
            raise InputError(f"a seed must be from 0 to {2**32 - 1}, got {word}")

    state = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


def generator_from(generator: Generator | None, seed: int | None = None) -> Generator:
    """Return the generator that a caller passed, or the generator `seeded(seed)`.

    Args:
        generator: One generator or several; None if the caller passed a seed.
        seed: Seed from 0 to 2³² − 1; None if the caller passed a generator.

    Raises:
        InputError: If both arguments are passed or neither is, or the seed is out of range.
    """
    if generator is not None and seed is None:
        return generator
    if seed is not None and generator is None:
        return seeded(seed)
    raise InputError(
        "random numbers need either a generator or a seed, got "
        f"{'neither' if seed is None else 'both'}"
    )


def spawn(generator: torch.Generator, count: int) -> list[torch.Generator]:
    """Make `count` independent CPU generators, seeded by draws from `generator`.

    A larger `count` adds generators at the end and does not change the first generators.
    """
    seeds = [
        int(torch.randint(2**62, (), generator=generator, device=generator.device))
        for _ in range(count)
    ]
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def one_each(
    generator: Generator | None, count: int, seed: int | None = None
) -> list[torch.Generator]:
    """Return one generator per sample of a batch.

    Args:
        generator: One generator, from which `count` generators are spawned, or `count` generators.
        count: Number of samples.
        seed: Seed that replaces a generator; generator i is then `seeded(seed, i)`.

    Raises:
        InputError: If both `generator` and `seed` are passed or neither is, the number of
            generators differs from `count`, or the seed is out of range.
    """
    given = generator_from(generator, seed)
    if seed is not None:
        return [seeded(seed, index) for index in range(count)]
    if isinstance(given, torch.Generator):
        return spawn(given, count)
    if len(given) != count:
        raise InputError(
            f"generator must be one generator or {count} generators, one per sample, "
            f"got {len(given)}"
        )
    return list(given)


def repeat(generator: Generator, count: int) -> Generator:
    """Adapt a generator to a batch in which each sample is repeated `count` times in a row.

    Args:
        generator: One generator, which is returned unchanged, or one generator per sample. The
            generator of a sample then draws all copies of the sample, one after the other.
        count: Number of copies of each sample.
    """
    if isinstance(generator, torch.Generator):
        return generator
    return [each for each in generator for _ in range(count)]


@contextlib.contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """In a `with` block, make the initial weights of torch modules depend only on `seed`.

    torch draws the weights from its global generator. The state of this generator is restored at
    the end of the block.
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
    """Draw a tensor of Gaussian random numbers with mean 0 and variance 1.

    Args:
        shape: Shape of the result. For a sequence of generators, `shape[0]` is their number.
        generator: One generator, or one generator per entry of the first axis.
        dtype: Data type of the result.
        device: Device of the result.

    Raises:
        InputError: If `generator` is None, or if the number of generators differs from `shape[0]`.
    """
    return _draw(torch.randn, shape, generator, dtype, device)


def uniform(
    shape: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw a tensor of random numbers that are uniform on [0, 1).

    Args:
        shape: Shape of the result. For a sequence of generators, `shape[0]` is their number.
        generator: One generator, or one generator per entry of the first axis.
        dtype: Data type of the result.
        device: Device of the result.

    Raises:
        InputError: If `generator` is None, or if the number of generators differs from `shape[0]`.
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
