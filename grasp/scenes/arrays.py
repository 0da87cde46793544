"""Helpers that let one implementation serve numpy arrays and torch tensors.

The functions of numpy and torch mostly have the same names and arguments. So code that takes its
functions from `functions_of` works on arrays, and on tensors on whichever device they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    Array = TypeVar("Array", np.ndarray, Tensor)
    AnyArray = np.ndarray | Tensor
else:
    # Any array with the right shape: callers that only have numpy arrays do not load torch.
    Array = AnyArray = Any


def functions_of(array: AnyArray) -> Any:
    """Return the module that computes with an array: `numpy`, or `torch` for a tensor."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def is_on_cpu(array: AnyArray) -> bool:
    """Test whether an array is in the memory of the CPU."""
    return isinstance(array, np.ndarray) or array.device.type == "cpu"


def numpy_on_cpu(array: AnyArray) -> Any:
    """Return a tensor on the CPU as a numpy array, and anything else unchanged.

    On a CPU, numpy needs about half as long as torch for `grasp.scenes.collision`.
    """
    return on_host(array) if is_on_cpu(array) else array


def as_double(array: Array) -> Array:
    """Return a copy of an array, or of a tensor without its gradients, in double precision.

    Tensors on a device without double precision (Apple's `mps`) become float32.
    """
    if isinstance(array, np.ndarray):
        return array.astype(np.float64)
    torch = functions_of(array)
    return array.detach().to(torch.float32 if array.device.type == "mps" else torch.float64)


def like(array: Array, values: AnyArray) -> Array:
    """Convert values to the kind and device of another array and, for a tensor, to its dtype."""
    if isinstance(array, np.ndarray):
        return on_host(values)
    if isinstance(values, np.ndarray):
        return array.new_tensor(values)
    return values.detach().to(array)


def on_host(array: AnyArray) -> np.ndarray:
    """Return the values as a numpy array."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def keep_largest(largest: AnyArray, index: Any, values: Any) -> None:
    """Set largest[index] = max(largest[index], values) in place, also for repeated indices."""
    if isinstance(largest, np.ndarray):
        np.maximum.at(largest, index, values)
    else:
        largest.scatter_reduce_(0, index, values, "amax")
