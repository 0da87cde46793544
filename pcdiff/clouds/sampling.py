"""Functions that write generated, reconstructed or interpolated clouds and their pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from pcdiff.clouds.files import read_cloud, save_cloud
from pcdiff.clouds.generator import DEFAULT_STEPS, PointCloudGenerator
from pcdiff.clouds.metrics.chamfer import chamfer_distance
from pcdiff.clouds.scale import normalize_to_box
from pcdiff.diffusion.samplers import DDIM, Ancestral, Multistep, Sampler
from pcdiff.drawing.png import save_png
from pcdiff.drawing.sheets import draw_clouds
from pcdiff.errors import InputError
from pcdiff.files import prepare_folder
from pcdiff.randomness import one_each

SamplerName = Literal["multistep", "ddim", "ancestral"]
Form = Literal["ply", "npy", "xyz"]

_SAMPLERS: dict[str, type[Sampler]] = {
    "multistep": Multistep,
    "ddim": DDIM,
    "ancestral": Ancestral,
}

_AT_ONCE = 8  # number of clouds between two progress reports

MOST_POINTS = 2**28
"""Largest accepted number of points of all clouds of a call, which take 12 bytes each."""
_DRAWN = 32  # largest number of clouds in a picture


@dataclass(frozen=True)
class Sampling:
    """The settings with which a generator turns latents into clouds.

    Attributes:
        points: Number of points per cloud.
        steps: Number of network evaluations per cloud.
        sampler: "multistep" (second-order DPM-Solver++(2M)), "ddim" or "ancestral" (DDPM).

    Raises:
        InputError: If `sampler` is another name.
    """

    points: int = 2048
    steps: int = DEFAULT_STEPS
    sampler: SamplerName = "multistep"

    def __post_init__(self) -> None:
        if self.sampler not in get_args(SamplerName):
            raise InputError(
                f"the sampler must be one of {', '.join(get_args(SamplerName))}, "
                f"got {self.sampler!r}",
                parameter="sampler",
            )

    def new_sampler(self) -> Sampler:
        """Make the sampler with its default settings."""
        return _SAMPLERS[self.sampler]()


@dataclass(frozen=True)
class CloudFiles:
    """The files that were written for a sequence of clouds.

    Attributes:
        files: One file per cloud.
        picture: PNG file with pictures of at most 32 clouds.
        remarks: Sentences for the user about the files that were read, such as how many points were
            left out.
    """

    files: tuple[Path, ...]
    picture: Path
    remarks: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the paths and remarks as a dictionary that can be written as JSON."""
        return {
            "files": [str(file) for file in self.files],
            "picture": str(self.picture),
            "remarks": list(self.remarks),
        }


def sample_to_folder(
    generator: PointCloudGenerator,
    folder: Path,
    count: int,
    sampling: Sampling,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    form: Form = "ply",
    progress: Callable[[int], None] | None = None,
) -> CloudFiles:
    """Generate new clouds and write them into a folder, with a picture `sheet.png`.

    The clouds are approximately box-normalised: the bounding box of each shape is centred at 0, and
    the longest side of the box is 2.

    Args:
        generator: The generator, already on the device that samples.
        folder: Folder for the results; created if missing.
        count: Number of clouds.
        sampling: The settings of the sampling.
        temperature: Spread of the latent. Values below 1 give more typical shapes and less variety.
        seed: Seed of the run. Cloud i depends only on the seed and i.
        form: Format of the files.
        progress: Function that is called with the number of clouds finished since its last call.

    Raises:
        InputError: If the folder cannot be written, the generator is an auto-encoder, or a number
            is out of range.
    """
    _check_total(count, sampling.points)
    prepare_folder(folder)
    generators = shape_generators(seed, count)
    clouds: list[Tensor] = []
    for begin in range(0, count, _AT_ONCE):
        part = generators[begin : begin + _AT_ONCE]
        clouds += generator.sample(
            len(part), sampling.points, part, sampling.steps, sampling.new_sampler(), temperature
        ).cpu()
        if progress is not None:
            progress(len(part))
    return _write(folder, "cloud", clouds, form)


def _check_total(count: int, points: int) -> None:
    if count * points > MOST_POINTS:
        raise InputError(
            f"all clouds together must have at most {MOST_POINTS} points, got {count} clouds of "
            f"{points} points",
            parameter="count",
        )


def reconstruct_to_folder(
    generator: PointCloudGenerator,
    cloud: Path,
    folder: Path,
    sampling: Sampling,
    *,
    seed: int = 0,
    form: Form = "ply",
) -> tuple[CloudFiles, float]:
    """Encode and decode a cloud, and write the decoded cloud with a picture `sheet.png`.

    The picture shows both clouds. The decoded cloud is in the frame and unit of the input file.

    Args:
        generator: The generator, already on the device that samples.
        cloud: File of the cloud, as `pcdiff.clouds.files.read_cloud` reads it.
        folder: Folder for the results; created if missing.
        sampling: The settings of the sampling.
        seed: Seed of the run.
        form: Format of the written file.

    Returns:
        The written files, and the squared Chamfer distance between the two clouds in box-normalised
        coordinates, summed over both directions.

    Raises:
        InputError: If the cloud cannot be read or has no extent, the folder cannot be written, or a
            number is out of range.
    """
    points, remarks = read_cloud(cloud)
    original = points[None]
    normalised, box = normalize_to_box(original)
    prepare_folder(folder)
    rebuilt = generator.reconstruct(
        normalised,
        sampling.points,
        shape_generators(seed, 1),
        sampling.steps,
        sampling.new_sampler(),
    ).cpu()
    distance = float(chamfer_distance(rebuilt, normalised)[0])
    clouds = box.invert(rebuilt)
    files = _write_clouds(folder, cloud.stem + "-reconstructed", clouds, form)
    picture = _draw(folder, [original[0], clouds[0]], ["input", "output"])
    return CloudFiles(files, picture, remarks), distance


def interpolate_to_folder(
    generator: PointCloudGenerator,
    first: Path,
    second: Path,
    folder: Path,
    count: int,
    sampling: Sampling,
    *,
    seed: int = 0,
    form: Form = "ply",
) -> CloudFiles:
    """Generate shapes between two clouds and write them, with a picture `sheet.png`.

    The written clouds are approximately box-normalised.

    Args:
        generator: The generator, already on the device that samples.
        first: File of the cloud at the start of the path; see `read_cloud`.
        second: File of the cloud at the end of the path.
        folder: Folder for the results; created if missing.
        count: Number of shapes on the path, including both ends of the path.
        sampling: The settings of the sampling.
        seed: Seed of the run.
        form: Format of the files.

    Raises:
        InputError: If a cloud cannot be read or has no extent, the folder cannot be written, or a
            number is out of range.
    """
    _check_total(count, sampling.points)
    read = [read_cloud(file) for file in (first, second)]
    begin, end = (normalize_to_box(points[None])[0][0] for points, _ in read)
    prepare_folder(folder)
    (random,) = shape_generators(seed, 1)
    clouds = generator.interpolate(
        begin, end, count, sampling.points, random, sampling.steps, sampling.new_sampler()
    ).cpu()
    written = _write(folder, "between", clouds, form)
    return replace(written, remarks=tuple(remark for _, remarks in read for remark in remarks))


def shape_generators(seed: int, count: int) -> list[torch.Generator]:
    """Make one random generator per shape; generator i depends only on the seed and i."""
    return one_each(None, count, seed)


def _write(folder: Path, stem: str, clouds: Sequence[Tensor] | Tensor, form: Form) -> CloudFiles:
    return CloudFiles(_write_clouds(folder, stem, clouds, form), _draw(folder, clouds))


def _write_clouds(
    folder: Path, stem: str, clouds: Sequence[Tensor] | Tensor, form: Form
) -> tuple[Path, ...]:
    files = tuple(folder / f"{stem}-{index:03d}.{form}" for index in range(len(clouds)))
    for file, cloud in zip(files, clouds, strict=True):
        save_cloud(file, cloud)
    return files


def _draw(folder: Path, clouds: Sequence[Tensor] | Tensor, labels: list[str] | None = None) -> Path:
    path = folder / "sheet.png"
    shown = [cloud.numpy() for cloud in clouds[:_DRAWN]]
    save_png(path, draw_clouds(shown, labels=labels))
    return path
