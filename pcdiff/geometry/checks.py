"""Checks of sets of clouds and of distances between them."""

from __future__ import annotations

from torch import Tensor

from pcdiff.errors import InputError


def check_clouds(name: str, clouds: Tensor, least: int = 1) -> None:
    """Refuse what is not a set of point clouds.

    Args:
        name: what the message calls the clouds.
        clouds: expected to be floating point, finite, of shape (shapes, points, 3).
        least: the fewest shapes that the caller can use.

    Raises:
        InputError: the clouds are something else.
    """
    if clouds.ndim != 3 or clouds.shape[2] != 3:
        raise InputError(f"{name} must have shape (shapes, points, 3), got {tuple(clouds.shape)}")
    if clouds.shape[0] < least:
        raise InputError(f"{name} must hold at least {least} shapes, got {clouds.shape[0]}")
    if clouds.shape[1] == 0:
        raise InputError(f"{name} must have at least 1 point a shape, got 0")
    check_finite(name, clouds)


def check_finite(name: str, values: Tensor) -> None:
    """Refuse values that are not floating point or not finite.

    Raises:
        InputError: with `name` in the message.
    """
    if not values.is_floating_point():
        raise InputError(f"{name} must be floating point, got {values.dtype}")
    if not values.isfinite().all():
        raise InputError(f"{name} must be finite, got NaN or infinity among the values")


def check_distances(name: str, distances: Tensor) -> None:
    """Refuse what is not a matrix of distances between two sets that have members.

    Raises:
        InputError: with `name` in the message.
    """
    if distances.ndim != 2 or distances.numel() == 0:
        raise InputError(
            f"{name} must be a matrix with rows and columns, got shape {tuple(distances.shape)}"
        )
    check_finite(name, distances)
