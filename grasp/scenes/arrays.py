"""What numpy arrays and torch tensors need to share one implementation.

Their functions mostly have the same names and arguments, so code that takes its functions from
`functions_of` works on both: on arrays, and on tensors on the device where they are.
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
    """The module that computes with an array: `numpy`, or `torch` for a tensor."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def is_on_cpu(array: AnyArray) -> bool:
    """Test whether an array is in the memory of the CPU."""
    return isinstance(array, np.ndarray) or array.device.type == "cpu"


def numpy_on_cpu(array: AnyArray) -> Any:
    """A tensor on the CPU as a numpy array, anything else unchanged.

    On a CPU, numpy needs about half as long as torch for `grasp.scenes.collision`.
    """
    return on_host(array) if is_on_cpu(array) else array


def as_double(array: Array) -> Array:
    """A copy of an array, or a tensor without gradients, in double precision.

    Tensors on a device without double precision (Apple's `mps`) become float32.
    """
    if isinstance(array, np.ndarray):
        return array.astype(np.float64)
    torch = functions_of(array)
    return array.detach().to(torch.float32 if array.device.type == "mps" else torch.float64)


def like(array: Array, values: AnyArray) -> Array:
    """Values as the same kind of array, on the same device and, for a tensor, of the same dtype."""
    if isinstance(array, np.ndarray):
        return on_host(values)
    if isinstance(values, np.ndarray):
        return array.new_tensor(values)
    return values.detach().to(array)


def on_host(array: AnyArray) -> np.ndarray:
    """The values as a numpy array."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def keep_largest(largest: AnyArray, index: Any, values: Any) -> None:
    """largest[index] = max(largest[index], values) in place, also for repeated indices."""
    if isinstance(largest, np.ndarray):
        np.maximum.at(largest, index, values)
    else:
        largest.scatter_reduce_(0, index, values, "amax")
