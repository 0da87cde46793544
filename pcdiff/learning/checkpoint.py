"""Weights and training states on disk: safetensors whose metadata is one JSON configuration.

The metadata has the single key `configuration`: a JSON object with `format`, `version`, `kind` (the
model class), and whatever the model needs to be built again. Compatibility rule: a reader accepts
its own version and no other; a change that an old reader would misread gets a new number. Nothing
is ever unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pcdiff.errors import InputError
from pcdiff.files import atomic_write

FORMAT = "pcdiff-grasp/weights"
VERSION = 1

_Model = TypeVar("_Model", bound=nn.Module)


def save(
    path: str | os.PathLike[str],
    kind: str,
    configuration: dict[str, Any],
    tensors: dict[str, Tensor],
) -> None:
    """Write tensors and their configuration, completely or not at all.

    Args:
        path: a `.safetensors` file; replaced if it exists.
        kind: what the tensors belong to, e.g. "point-cloud-generator".
        configuration: anything JSON can hold.
        tensors: by name.

    Raises:
        InputError: if the file cannot be written, e.g. on a full disk; an old file is then as it
            was.
    """
    from safetensors.torch import save as to_bytes

    header = {"format": FORMAT, "version": VERSION, "kind": kind, **configuration}
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = to_bytes(flat, {"configuration": json.dumps(header)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what `save` wrote.

    Args:
        path: a `.safetensors` file.
        kind: what the caller can use.

    Returns:
        The configuration and the tensors.

    Raises:
        InputError: if the file is missing, damaged, not ours, or of another version or kind.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise InputError(f"weights {path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            configuration = _configuration(path, metadata, kind)
            return configuration, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"weights {path}: expected a whole safetensors file, but {_one_line(error)}"
        ) from error


def names_in(shipped: Path) -> list[str]:
    """The names of the weights in a folder of a package."""
    return sorted(path.stem for path in shipped.glob("*.safetensors"))


def find(weights: str | os.PathLike[str], shipped: Path) -> Path:
    """The file of weights.

    Args:
        weights: the name of weights in `shipped`, or a file.
        shipped: the folder of the weights that a package carries.

    Raises:
        InputError: there are no such weights.
    """
    path, names = Path(weights), names_in(shipped)
    if not path.exists() and str(weights) in names:
        path = shipped / f"{weights}.safetensors"
    if not path.is_file():
        raise InputError(
            f"weights {str(weights)!r}: neither a file nor one of the shipped weights "
            f"({', '.join(names) or 'none'})"
        )
    return path


@torch.inference_mode(False)  # weights that are read inside of it would allow no gradient later
def load_model(
    weights: str | os.PathLike[str],
    kind: str,
    shipped: Path,
    build: Callable[[dict[str, Any]], _Model],
    renamed: Callable[[str], str] = lambda name: name,
) -> _Model:
    """A trained model, in evaluation mode and on the CPU.

    Args:
        weights: the name of weights in `shipped`, or a file.
        kind: what the caller can use.
        shipped: the folder of the weights that a package carries.
        build: Makes the model from its configuration.
        renamed: Gives the name of a tensor today, from its name in weights of an older version.

    Raises:
        InputError: there are no such weights, or they are of something else.
    """
    path = find(weights, shipped)
    configuration, tensors = load(path, kind)
    try:
        model = build(configuration["model"])
    except InputError as error:
        raise InputError(f"weights {path}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"weights {path}: no model can be built from their configuration ({error!r})"
        ) from error
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise InputError(
                f"weights {path}: tensor {name!r} should hold finite floating-point numbers, got "
                f"{tensor.dtype}"
                + (" with some that are not finite" if tensor.is_floating_point() else "")
            )
    load_state(model, {renamed(name): each.float() for name, each in tensors.items()}, path)
    return model.eval().requires_grad_(False)


def load_state(module: Any, tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Copy tensors into a module that must have exactly these names and shapes.

    Args:
        module: the `torch.nn.Module` to fill.
        tensors: by name.
        path: where they came from, for the error.

    Raises:
        InputError: if a tensor is missing, left over or of another shape.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise InputError(
                f"weights {path}: tensor {name!r} should be {_shape(expected.get(name))} "
                f"but is {_shape(found.get(name))}"
            )
    module.load_state_dict(tensors)


def _configuration(
    path: str | os.PathLike[str], metadata: Mapping[str, str], kind: str
) -> dict[str, Any]:
    try:
        configuration = json.loads(metadata["configuration"])
        found = (configuration["format"], configuration["version"], configuration["kind"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:  # huge integers, deep lists
        raise InputError(
            f"weights {path}: the file carries no configuration of format {FORMAT!r}"
        ) from error
    for what, expected, came in zip(
        ("format", "version", "kind"), (FORMAT, VERSION, kind), found, strict=True
    ):
        if came != expected:
            raise InputError(f"weights {path}: expected {what} {expected!r}, got {came!r}")
    return configuration


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else str(list(shape))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
