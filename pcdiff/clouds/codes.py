"""Latent codes of clouds, which `pcdiff encode` writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from pcdiff.clouds.collections import NamedClouds
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.clouds.scale import normalize_to_box
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

CODE_ENDINGS = (".npz", ".npy")
"""File name extensions of latent codes."""


@dataclass(frozen=True, eq=False)
class Codes:
    """Latent codes of clouds.

    Attributes:
        names: Name of each cloud.
        latents: Code of each cloud: the mean of q(z | cloud).
    """

    names: tuple[str, ...]
    latents: Float[np.ndarray, "shapes *latent"]


def encode_clouds(
    generator: PointCloudGenerator,
    clouds: NamedClouds,
    advance: Callable[[], None] = lambda: None,
) -> Codes:
    """Encode clouds, each box-normalised and with all of its points.

    Args:
        generator: The generator, already on the device that encodes.
        clouds: Clouds in any unit.
        advance: Function that is called after each cloud.

    Raises:
        InputError: If the generator has no encoder, or a cloud has no extent.
    """
    if getattr(generator, "encoder", None) is None:
        raise InputError("the model has no encoder, so it has no latent codes of clouds")
    latents = []
    for name, cloud in zip(clouds.names, clouds.clouds, strict=True):
        try:
            normalised = normalize_to_box(cloud[None])[0]
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        with torch.inference_mode():
            latents.append(generator.encode(normalised)[0].float().cpu().numpy())
        advance()
    return Codes(clouds.names, np.stack(latents))


def check_code_path(path: str | os.PathLike[str]) -> None:
    """Check the extension of a file of codes to write.

    Raises:
        InputError: If the path does not end in .npz or .npy.
    """
    if Path(path).suffix.lower() not in CODE_ENDINGS:
        raise InputError(f"cannot write {path}: expected the extension .npz or .npy")


def write_codes(path: str | os.PathLike[str], codes: Codes) -> list[Path]:
    """Write codes to a file, completely or not at all.

    Args:
        path: File to write. A `.npz` file has the arrays `names` (texts) and `latents` (float32). A
            `.npy` file has only the latents, and the names are written to `NAME.names.txt` beside
            the file, one per line.
        codes: Codes to write.

    Returns:
        The files that were written.

    Raises:
        InputError: If the path has another extension, or the file cannot be written.
    """
    check_code_path(path)
    target = Path(path)
    if target.suffix.lower() == ".npz":
        with atomic_write(target) as temporary, temporary.open("wb") as file:
            np.savez(file, names=np.array(codes.names), latents=codes.latents)
        return [target]
    beside = target.with_suffix(".names.txt")
    with atomic_write(beside) as temporary:
        temporary.write_text(_lines(codes.names), "utf-8")
    with atomic_write(target) as temporary, temporary.open("wb") as file:
        np.save(file, codes.latents, allow_pickle=False)
    return [target, beside]


def _lines(names: Sequence[str]) -> str:
    return "".join(f"{' '.join(name.splitlines())}\n" for name in names)
