"""`pcdiff sample`: generate new clouds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcdiff import console
from pcdiff.commands.options import Form, Output, Points, SamplerName, Steps, Temperature, Weights
from pcdiff.console import Device, Json, Seed, Session, Threads


def sample(
    weights: Weights = "chair",
    count: Annotated[int, typer.Option(min=1, max=10**6, help="Number of clouds.")] = 8,
    points: Points = 2048,
    steps: Steps = 20,
    sampler: SamplerName = "multistep",
    temperature: Temperature = 1.0,
    output: Output = Path("out"),
    form: Form = "ply",
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Generate clouds.

    Writes one file per cloud, and sheet.png with pictures of the first 32 clouds. Coordinates are
    approximately box-normalised: the bounding box of each shape is centred at 0, and the longest
    side of the box is 2.
    """
    from pcdiff.clouds.generator import PointCloudGenerator
    from pcdiff.clouds.sampling import Sampling, sample_to_folder

    session = Session("pcdiff sample", seed, device, threads, as_json)
    generator = PointCloudGenerator.from_pretrained(weights).to(device)
    with console.progress("sampling", count) as advance:
        written = sample_to_folder(
            generator,
            output,
            count,
            Sampling(points, steps, sampler),
            temperature=temperature,
            seed=seed,
            form=form,
            progress=advance,
        )
    session.finish(
        {"weights": weights, **written.as_dict()},
        f"{count} clouds of {points} points are in {output}; picture: {written.picture}",
    )
