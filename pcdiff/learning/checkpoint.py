"""Files of weights and training states: safetensors files with a JSON configuration.

The metadata of a file has the single key `configuration`. Its value is a JSON object with the
entries `format`, `version`, `kind` (the class of the model) and all settings that are needed to
rebuild the model. A reader accepts only files of its own version. Therefore every change that an
old reader would misread needs a new version number. No file is ever unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pcdiff.bounds import shown
from pcdiff.errors import InputError, cause_of
from pcdiff.files import atomic_write
from pcdiff.randomness import initial_weights
from pcdiff.untrusted import check_json, file_size

FORMAT = "pcdiff-grasp/weights"
VERSION = 1

LARGEST_HEADER = 2**24
"""Largest accepted size in bytes of a header, which lists the tensors and holds the configuration;
our own have 3 to 30 thousand."""

_Model = TypeVar("_Model", bound=nn.Module)


def save(
    path: str | os.PathLike[str],
    kind: str,
    configuration: dict[str, Any],
    tensors: dict[str, Tensor],
) -> None:
    """Write tensors and their configuration, completely or not at all.

    Args:
        path: The `.safetensors` file to write; an existing file is replaced.
        kind: Kind of model that the tensors belong to, e.g. "point-cloud-generator".
        configuration: The configuration; all values must be valid in JSON.
        tensors: The tensors by name.

    Raises:
        InputError: If the file cannot be written, e.g. because the disk is full; an existing file
            is then unchanged.
    """
    from safetensors.torch import save as to_bytes

    header = {"format": FORMAT, "version": VERSION, "kind": kind, **configuration}
    # The tensors are copied, because safetensors rejects tensors that share memory (tied weights).
    flat = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    content = to_bytes(flat, {"configuration": json.dumps(header)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the configuration and the tensors that `save` wrote.

    Args:
        path: The `.safetensors` file to read.
        kind: Kind of model that the file must contain.

    Returns:
        The configuration, and the tensors by name.

    Raises:
        InputError: If the file is missing or damaged, has no configuration of this package's
            format, or has a wrong version or kind.
    """
    with _opened(path) as file:
        configuration = _configuration(path, file.metadata() or {}, kind)
        return configuration, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load_header(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Read the configuration and the shapes of the tensors, but not the tensors.

    Args:
        path: The `.safetensors` file to read.
        kind: Kind of model that the file must contain.

    Returns:
        The configuration, and the shape of each tensor by name.

    Raises:
        InputError: For the reasons listed in `load`.
    """
    with _opened(path) as file:
        configuration = _configuration(path, file.metadata() or {}, kind)
        return configuration, {
            name: tuple(file.get_slice(name).get_shape())
            for name in file.keys()  # noqa: SIM118
        }


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a safetensors file whose header has a sensible size."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise InputError(f"weights {path}: the file does not exist")
    try:
        with Path(path).open("rb") as start:
            header = int.from_bytes(start.read(8), "little")
        if LARGEST_HEADER < header < file_size(path):
            raise InputError(
                f"weights {path}: the header must have at most {LARGEST_HEADER} bytes, got {header}"
            )
        with safe_open(path, framework="pt") as file:
            yield file
    except InputError:
        raise
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"weights {path}: expected a complete safetensors file, but {_one_line(error)}"
        ) from error
    except Exception as error:  # torch and safetensors do not document a list
        raise InputError(
            f"weights {path}: the tensors cannot be read ({cause_of(error)})"
        ) from error


def names_in(shipped: Path) -> list[str]:
    """Return the names of the weights that come with a package.

    Args:
        shipped: Folder of the package that contains the weights.
    """
    return sorted(path.stem for path in shipped.glob("*.safetensors"))


def find(weights: str | os.PathLike[str], shipped: Path) -> Path:
    """Return the path of a file of weights.

    Args:
        weights: Name of weights in the folder `shipped`, or path of a file.
        shipped: Folder of the weights that come with a package.

    Raises:
        InputError: If neither a file nor weights in `shipped` have this name.
    """
    path, names = Path(weights), names_in(shipped)
    if not path.exists() and str(weights) in names:
        path = shipped / f"{weights}.safetensors"
    if not path.is_file():
        raise InputError(
            f"weights {str(weights)!r}: expected a file or the name of shipped weights "
            f"({', '.join(names) or 'none'}), found neither"
        )
    return path


@torch.inference_mode(False)  # weights loaded in inference mode could never have gradients
def load_model(
    weights: str | os.PathLike[str],
    kind: str,
    shipped: Path,
    build: Callable[[dict[str, Any]], _Model],
    renamed: Callable[[str], str] = lambda name: name,
) -> _Model:
    """Load a trained model in evaluation mode on the CPU.

    Args:
        weights: Name of weights in the folder `shipped`, or path of a file.
        kind: Kind of model that the file must contain.
        shipped: Folder of the weights that come with a package.
        build: Function that builds the model from its configuration.
        renamed: Function that maps the name of a tensor in any version to its current name.

    Raises:
        InputError: If the weights do not exist, are damaged, or belong to another kind of model.
    """
    path = find(weights, shipped)
    configuration, shapes = load_header(path, kind)
    # Torch's device "meta" has shapes but no memory, so that a configuration of absurd size costs
    # nothing before it has been compared with the tensors that are really there.
    with torch.device("meta"):
        expected = _build(path, build, configuration)
    _check_shapes(
        path,
        {name: tuple(tensor.shape) for name, tensor in expected.state_dict().items()},
        {renamed(name): shape for name, shape in shapes.items()},
    )
    configuration, tensors = load(path, kind)
    model = _build(path, build, configuration)
    for name, tensor in tensors.items():
        if tensor.is_complex() or tensor.to(torch.float64).isnan().any():
            raise InputError(
                f"weights {path}: tensor {name!r} must contain real numbers and no NaN, got "
                f"{tensor.dtype}" + (" with NaN" if not tensor.is_complex() else "")
            )
    load_state(model, {renamed(name): each for name, each in tensors.items()}, path)
    return model.eval().requires_grad_(False)


def load_state(module: Any, tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Copy tensors into a module, which must have tensors of the same names and shapes.

    Args:
        module: The `torch.nn.Module` to fill.
        tensors: The tensors by name.
        path: File that the tensors came from, for the error message.

    Raises:
        InputError: If a tensor is missing, unknown to the module or of a wrong shape, or if a
            floating-point tensor would replace an integer tensor or the reverse.
    """
    own = module.state_dict()
    _check_shapes(
        path,
        {name: tuple(tensor.shape) for name, tensor in own.items()},
        {name: tuple(tensor.shape) for name, tensor in tensors.items()},
    )
    for name in sorted(own):
        if own[name].is_floating_point() != tensors[name].is_floating_point():
            raise InputError(
                f"weights {path}: tensor {name!r} should be of type {own[name].dtype} "
                f"but is of {tensors[name].dtype}"
            )
    module.load_state_dict(tensors)


def _build(
    path: Path, build: Callable[[dict[str, Any]], _Model], configuration: dict[str, Any]
) -> _Model:
    try:
        # torch draws weights for the new model, which must not advance torch's global generator.
        with initial_weights(0):
            return build(configuration["model"])
    except InputError as error:
        raise InputError(f"weights {path}: {error}") from error
    except Exception as error:  # a configuration may hold any values
        raise InputError(
            f"weights {path}: their configuration does not describe a model ({shown(error, 400)})"
        ) from error


def _check_shapes(
    path: str | os.PathLike[str],
    expected: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
) -> None:
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise InputError(
                f"weights {path}: tensor {shown(name)} should be {_shape(expected.get(name))} "
                f"but is {_shape(found.get(name))}"
            )


def _configuration(
    path: str | os.PathLike[str], metadata: Mapping[str, str], kind: str
) -> dict[str, Any]:
    try:
        text = metadata["configuration"]
        check_json(text)
        configuration = json.loads(text)
        found = (configuration["format"], configuration["version"], configuration["kind"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:  # e.g. deeply nested lists
        raise InputError(
            f"weights {path}: the file has no configuration of format {FORMAT!r}"
        ) from error
    for what, expected, came in zip(
        ("format", "version", "kind"), (FORMAT, VERSION, kind), found, strict=True
    ):
        if came != expected:
            raise InputError(f"weights {path}: expected {what} {expected!r}, got {shown(came)}")
    return configuration


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else f"of shape {shown(list(shape))}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
