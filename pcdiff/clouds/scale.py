"""Scaling of clouds to a common size, and random subsets of their points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff import randomness
from pcdiff.errors import InputError


@dataclass(frozen=True)
class BoxNormalization:
    """The translation and the scale of each cloud: x' = (x - centre) / half_longest_side.

    Attributes:
        centre: Centre of each cloud's axis-aligned bounding box, in the clouds' unit.
        half_longest_side: Half the longest side of each cloud's bounding box, in the clouds' unit.
    """

    centre: Float[Tensor, "shapes 3"]
    half_longest_side: Float[Tensor, " shapes"]

    def apply(self, clouds: Float[Tensor, "shapes points 3"]) -> Float[Tensor, "shapes points 3"]:
        """Convert from the clouds' unit to the common scale, where a box's longest side is 2."""
        return (clouds - self.centre[:, None]) / self.half_longest_side[:, None, None]

    def invert(self, clouds: Float[Tensor, "shapes points 3"]) -> Float[Tensor, "shapes points 3"]:
        """Convert from the common scale back to the clouds' unit."""
        return clouds * self.half_longest_side[:, None, None] + self.centre[:, None]


def normalize_to_box(
    clouds: Float[Tensor, "shapes points 3"],
) -> tuple[Float[Tensor, "shapes points 3"], BoxNormalization]:
    """Centre each cloud on its bounding box, and divide by half the longest side of the box.

    Args:
        clouds: Clouds in any unit.

    Returns:
        The clouds in [-1, 1]³, where the longest side of each bounding box is 2, and the
        normalisation.

    Raises:
        InputError: If a cloud has no points, no extent (all its points are equal) or an extent that
            is not finite; the message states the index of the cloud.
    """
    if clouds.shape[1] == 0:
        raise InputError("a cloud to normalise must have at least 1 point, got 0")
    low, high = clouds.amin(dim=1), clouds.amax(dim=1)
    half_longest_side = (high / 2 - low / 2).amax(dim=1)
    usable = (half_longest_side > 0) & half_longest_side.isfinite()
    if not usable.all():
        index = int((~usable).nonzero()[0])
        raise InputError(
            f"cloud {index} cannot be normalised: half the longest side of its bounding box is "
            f"{float(half_longest_side[index])}, expected a finite number above 0"
        )
    normalization = BoxNormalization(low / 2 + high / 2, half_longest_side)
    return normalization.apply(clouds), normalization


def subsample(
    clouds: Float[Tensor, "shapes points 3"], points: int, generator: randomness.Generator
) -> Float[Tensor, "shapes chosen 3"]:
    """Choose points of each cloud at random, without replacement, in random order.

    Args:
        clouds: Clouds to choose from.
        points: Number of points to choose from each cloud.
        generator: One random generator, or one random generator per cloud.

    Raises:
        InputError: If `points` is less than 1 or more than the number of points per cloud.
    """
    shapes, available, _ = clouds.shape
    if not 1 <= points <= available:
        raise InputError(
            f"the number of points to choose from each cloud must be from 1 to {available}, "
            f"got {points}"
        )
    # Sorting independent uniform numbers gives a uniform permutation; float64 makes ties rare.
    keys = randomness.uniform((shapes, available), generator, torch.float64, clouds.device)
    chosen = keys.argsort(dim=1)[:, :points]
    return clouds.gather(1, chosen[..., None].expand(-1, -1, 3))
