"""Checks of sets of point clouds and of matrices of distances."""

from __future__ import annotations

from torch import Tensor

from pcdiff.errors import InputError


def check_clouds(name: str, clouds: Tensor, least: int = 1) -> None:
    """Check that a tensor is a set of point clouds.

    Args:
        name: Name of the clouds in the error message.
        clouds: Clouds to check: finite floating-point numbers of shape (shapes, points, 3).
        least: Smallest number of clouds that the caller can use.

    Raises:
        InputError: If the tensor is not a set of at least `least` clouds with finite coordinates.
    """
    if clouds.ndim != 3 or clouds.shape[2] != 3:
        raise InputError(f"{name} must have shape (shapes, points, 3), got {tuple(clouds.shape)}")
    if clouds.shape[0] < least:
        raise InputError(f"{name} must contain at least {least} shapes, got {clouds.shape[0]}")
    if clouds.shape[1] == 0:
        raise InputError(f"{name} must have at least 1 point per shape, got 0")
    check_finite(name, clouds)


def check_finite(name: str, values: Tensor) -> None:
    """Check that all values are finite floating-point numbers.

    Raises:
        InputError: If a value is not a finite floating-point number; the message starts with
            `name`.
    """
    if not values.is_floating_point():
        raise InputError(f"{name} must have a floating-point data type, got {values.dtype}")
    if not values.isfinite().all():
        raise InputError(f"{name} must be finite, got at least one NaN or infinity")


def check_distances(name: str, distances: Tensor) -> None:
    """Check that a tensor is a matrix of distances between two non-empty sets.

    Raises:
        InputError: If the tensor is not a matrix, is empty, or has a value that is not a finite
            floating-point number; the message starts with `name`.
    """
    if distances.ndim != 2 or distances.numel() == 0:
        raise InputError(f"{name} must be a non-empty matrix, got shape {tuple(distances.shape)}")
    check_finite(name, distances)
