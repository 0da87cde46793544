"""Products of spaces, such as a pose with a gripper width, or a trajectory of poses.

`Product` combines different spaces, and `Power` repeats one space. Both are manifolds, so samplers,
losses and guidance work on both. All factors have the same noise level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator


@dataclass(frozen=True)
class Product(Manifold):
    """A product of spaces, in which a point is a flat vector with the entries of all factors.

    For example, a point of SE(3) × ℝ consists of the 16 entries of a pose and one further number.
    `join` makes a point of the product from one point per factor, and `split` is the inverse of
    `join`. `join_tangent` and `split_tangent` convert tangent vectors in the same way. The units
    and the frame of each factor do not change.

    A product is flat only if every factor is flat.

    Args:
        factors: The spaces.
        shapes: Shape of one point of each factor, such as `((4, 4), (1,))`.

    Raises:
        InputError: If there is no factor, or the shapes do not match the factors.
    """

    factors: tuple[Manifold, ...]
    shapes: tuple[tuple[int, ...], ...]

    point_ndim = 1
    tangent_ndim = 1

    def __post_init__(self) -> None:
        """Check that the factors and their shapes match."""
        found, expected = (
            [len(shape) for shape in self.shapes],
            [f.point_ndim for f in self.factors],
        )
        if not self.factors or found != expected:
            raise InputError(
                "a product needs at least one factor and one point shape per factor, with "
                f"{expected} axes for these factors, got shapes {self.shapes}"
            )

    @property
    def is_flat(self) -> bool:  # type: ignore[override]
        """True if every factor is flat."""
        return all(factor.is_flat for factor in self.factors)

    @property
    def length(self) -> float:  # type: ignore[override]
        """The length ℓ that all factors share.

        Raises:
            InputError: If two factors have different lengths.
        """
        lengths = {factor.length for factor in self.factors}
        if len(lengths) > 1:
            raise InputError(
                f"the factors of a product must have equal lengths, got {sorted(lengths)}"
            )
        return lengths.pop()

    @property
    def tangent_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one tangent vector of each factor."""
        pairs = zip(self.factors, self.shapes, strict=True)
        return tuple(factor.tangent_shape(shape) for factor, shape in pairs)

    @property
    def size(self) -> int:
        """The number of entries of one point."""
        return sum(math.prod(shape) for shape in self.shapes)

    def tangent_shape(self, point_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a tangent vector: one axis with the entries of all factors."""
        return (sum(math.prod(shape) for shape in self.tangent_shapes),)

    def split(self, x: Float[Tensor, "*batch size"]) -> tuple[Tensor, ...]:
        """Split points of the product into points of the factors, each `(batch…, *shape)`."""
        return _split(x, self.shapes)

    def join(self, *points: Tensor) -> Float[Tensor, "*batch size"]:
        """Join one point per factor, in the order of the factors, into a point of the product."""
        return _join(points, self.shapes)

    def split_tangent(self, v: Float[Tensor, "*batch size"]) -> tuple[Tensor, ...]:
        """Split a tangent vector of the product into the tangent vectors of the factors."""
        return _split(v, self.tangent_shapes)

    def join_tangent(self, *vectors: Tensor) -> Float[Tensor, "*batch size"]:
        """Join one tangent vector per factor into a tangent vector of the product."""
        return _join(vectors, self.tangent_shapes)

    def retract(
        self, x: Float[Tensor, "*#batch size"], v: Float[Tensor, "*#batch tangent"]
    ) -> Float[Tensor, "... size"]:
        """Apply `retract` of each factor to the entries of the factor."""
        parts = zip(self.factors, self.split(x), self.split_tangent(v), strict=True)
        return self.join(*(factor.retract(a, b) for factor, a, b in parts))

    def local(
        self, x: Float[Tensor, "*#batch size"], y: Float[Tensor, "*#batch size"]
    ) -> Float[Tensor, "... tangent"]:
        """Apply `local` of each factor to the entries of the factor."""
        parts = zip(self.factors, self.split(x), self.split(y), strict=True)
        return self.join_tangent(*(factor.local(a, b) for factor, a, b in parts))

    def to_unit(self, v: Float[Tensor, "*batch tangent"]) -> Float[Tensor, "*batch tangent"]:
        """Apply `to_unit` of each factor to the entries of the factor."""
        parts = zip(self.factors, self.split_tangent(v), strict=True)
        return self.join_tangent(*(factor.to_unit(part) for factor, part in parts))

    def from_unit(self, u: Float[Tensor, "*batch tangent"]) -> Float[Tensor, "*batch tangent"]:
        """Apply `from_unit` of each factor to the entries of the factor."""
        parts = zip(self.factors, self.split_tangent(u), strict=True)
        return self.join_tangent(*(factor.from_unit(part) for factor, part in parts))

    def tangent_noise(
        self, x: Float[Tensor, "*batch size"], generator: Generator | None
    ) -> Float[Tensor, "*batch tangent"]:
        """Draw the tangent noise of each factor, in the order of the factors."""
        parts = zip(self.factors, self.split(x), strict=True)
        return self.join_tangent(*(factor.tangent_noise(part, generator) for factor, part in parts))

    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | Sequence[Tensor | None] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "... size"]:
        """Draw the points of all factors independently; see `Manifold.random`.

        Args:
            shape: Shape of the result, `(batch…, size)`.
            noise_level: Noise level σ of all factors at the end of the forward process.
            generator: One generator, or one generator per entry of the first axis.
            centre: Centre of each factor, in the order of the factors. None means that no factor
                has a centre.
            dtype: Data type of the result.

        Raises:
            InputError: If the last axis does not have `size` entries, or if `centre` is not a
                sequence with one entry per factor.
        """
        if shape[-1] != self.size:
            raise InputError(f"this product needs {self.size} entries per point, got shape {shape}")
        centres = [None] * len(self.factors) if centre is None else centre
        if isinstance(centres, Tensor) or len(centres) != len(self.factors):
            raise InputError(
                f"the centre of a product must be a sequence of {len(self.factors)} centres, "
                f"one per factor, got {type(centres).__name__} of length {len(centres)}"
            )
        batch = shape[:-1]
        parts = zip(self.factors, self.shapes, centres, strict=True)
        return self.join(
            *(
                factor.random((*batch, *point), noise_level, generator, middle, dtype)
                for factor, point, middle in parts
            )
        )

    def kernel_score(
        self,
        mean: Float[Tensor, "*#batch size"],
        x: Float[Tensor, "*#batch size"],
        noise_level: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "... tangent"]:
        """Return the scores of all factors in one vector, because their noise is independent."""
        parts = zip(self.factors, self.split(mean), self.split(x), strict=True)
        return self.join_tangent(
            *(factor.kernel_score(each, part, noise_level) for factor, each, part in parts)
        )

    def log_kernel(
        self,
        mean: Float[Tensor, "*#batch size"],
        x: Float[Tensor, "*#batch size"],
        noise_level: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "..."]:
        """Return the sum of the factors' log kernels, because the noise is independent."""
        parts = zip(self.factors, self.split(mean), self.split(x), strict=True)
        each = [factor.log_kernel(middle, part, noise_level) for factor, middle, part in parts]
        return torch.stack(each).sum(0)

    def contract(self, alpha: Tensor, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "... size"]:
        """Multiply the entries of each factor by α; a curved product returns `x` unchanged.

        Raises:
            InputError: If the product is curved and a value of `alpha` differs from 1.
                Checked only if `alpha` is on the CPU.
        """
        self.check_signal(alpha)
        if not self.is_flat:
            return x
        parts = zip(self.factors, self.split(x), strict=True)
        return self.join(*(factor.contract(alpha, part) for factor, part in parts))


@dataclass(frozen=True)
class Power(Manifold):
    """A product of copies of one space, such as the space of trajectories with several poses.

    The first axis of a point enumerates the copies: points of `Power(SE3())` have shape
    `(copies, 4, 4)` and tangent vectors have shape `(copies, 6)`. One call of a method computes all
    copies.

    Args:
        factor: The space that is repeated.
    """

    factor: Manifold

    @property
    def point_ndim(self) -> int:  # type: ignore[override]
        """The number of axes of a point, one more than for the factor."""
        return 1 + self.factor.point_ndim

    @property
    def tangent_ndim(self) -> int:  # type: ignore[override]
        """The number of axes of a tangent vector, one more than for the factor."""
        return 1 + self.factor.tangent_ndim

    @property
    def is_flat(self) -> bool:  # type: ignore[override]
        """True if the factor is flat."""
        return self.factor.is_flat

    @property
    def length(self) -> float:  # type: ignore[override]
        """The length ℓ of the factor."""
        return self.factor.length

    def tangent_shape(self, point_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a tangent vector: the number of copies, then the factor's shape."""
        return (point_shape[0], *self.factor.tangent_shape(point_shape[1:]))

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """Apply `retract` of the factor to each copy."""
        return self.factor.retract(x, v)

    def local(self, x: Tensor, y: Tensor) -> Tensor:
        """Apply `local` of the factor to each copy."""
        return self.factor.local(x, y)

    def to_unit(self, v: Tensor) -> Tensor:
        """Apply `to_unit` of the factor to each copy."""
        return self.factor.to_unit(v)

    def from_unit(self, u: Tensor) -> Tensor:
        """Apply `from_unit` of the factor to each copy."""
        return self.factor.from_unit(u)

    def tangent_noise(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Draw independent tangent noise for each copy."""
        return self.factor.tangent_noise(x, generator)

    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw the points of all copies independently; see `Manifold.random`.

        Args:
            shape: Shape of the result, `(batch…, copies, *point of the factor)`.
            noise_level: Noise level σ at the end of the forward process.
            generator: One generator, or one generator per entry of the first axis.
            centre: One centre for all copies, or one centre per copy, with an axis for the copies.
                The class of the factor states which centres are valid.
            dtype: Data type of the result.
        """
        return self.factor.random(shape, noise_level, generator, centre, dtype)

    def kernel_score(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return the score of each copy, because the noise of the copies is independent."""
        return self.factor.kernel_score(mean, x, _over_copies(noise_level))

    def log_kernel(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return the sum of the copies' log kernels, because the noise is independent."""
        return self.factor.log_kernel(mean, x, _over_copies(noise_level)).sum(-1)

    def contract(self, alpha: Tensor, x: Tensor) -> Tensor:
        """Multiply each copy by α.

        Raises:
            InputError: If the factor is curved and a value of `alpha` differs from 1.
                Checked only if `alpha` is on the CPU.
        """
        self.check_signal(alpha)
        return self.factor.contract(_over_copies(alpha), x)


def _over_copies(scalar: Tensor) -> Tensor:
    """Add an axis for the copies to scalars `(batch…)`; a scalar without axes does not change."""
    return scalar[..., None] if scalar.ndim else scalar


def _split(flat: Tensor, shapes: Sequence[tuple[int, ...]]) -> tuple[Tensor, ...]:
    parts = flat.split([math.prod(shape) for shape in shapes], dim=-1)
    return tuple(part.unflatten(-1, shape) for part, shape in zip(parts, shapes, strict=True))


def _join(parts: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> Tensor:
    flat = [part.flatten(-len(shape)) for part, shape in zip(parts, shapes, strict=True)]
    return torch.cat(flat, dim=-1)
