"""Poses that callers pass as torch tensors or as numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from grasp.scenes.arrays import AnyArray, Array
from pcdiff.errors import InputError


def as_tensor(poses: AnyArray) -> Tensor:
    """Return poses as a tensor of shape (..., 4, 4); an array is copied to the CPU.

    Args:
        poses: A tensor or an array, of floating-point numbers.

    Raises:
        InputError: If the poses are neither a tensor nor an array, or have another shape or type.
    """
    if isinstance(poses, np.ndarray):
        # torch has no floating-point numbers of more than eight bytes.
        fine, kind = poses.dtype.kind == "f" and poses.dtype.itemsize <= 8, "array"
    elif isinstance(poses, Tensor):
        fine, kind = poses.is_floating_point(), "tensor"
    else:
        raise InputError(
            "poses must be a torch tensor or a numpy array of shape (..., 4, 4), got "
            f"{type(poses).__name__}"
        )
    if tuple(poses.shape[-2:]) != (4, 4) or not fine:
        raise InputError(
            f"poses must be a floating-point {kind} of shape (..., 4, 4), got "
            f"shape {tuple(poses.shape)} and type {poses.dtype}"
        )
    if isinstance(poses, Tensor):
        return poses
    # The copy has the byte order of the machine and may be written, which torch requires.
    return torch.from_numpy(np.array(poses, poses.dtype.newbyteorder("=")))


def like(poses: Array, result: Tensor) -> Array:
    """Return a result as a numpy array if the poses are a numpy array, else unchanged.

    Args:
        poses: Poses that the caller passed.
        result: Result computed from the poses.
    """
    given: Any = poses
    same: Any = result.detach().cpu().numpy() if isinstance(given, np.ndarray) else result
    return same


def translated(poses: Tensor, by: Tensor) -> Tensor:
    """Return poses whose translations have been moved, in the data type of the poses.

    float64 keeps all digits far from the origin.

    Args:
        poses: Poses, (..., 4, 4).
        by: Translation, (3,), in metres.
    """
    shift = torch.zeros_like(poses)
    shift[..., :3, 3] = by.to(poses)
    return poses + shift
