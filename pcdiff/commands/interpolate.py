"""`pcdiff interpolate`: generate shapes between two clouds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcdiff.commands.options import CloudFile, Form, Output, Points, SamplerName, Steps, Weights
from pcdiff.console import Device, Json, Seed, Session, Threads


def interpolate(
    first: CloudFile,
    second: CloudFile,
    weights: Weights = "chair",
    count: Annotated[
        int, typer.Option(min=2, max=10**4, help="Number of clouds, including the two end clouds.")
    ] = 8,
    points: Points = 2048,
    steps: Steps = 20,
    sampler: SamplerName = "multistep",
    output: Output = Path("out"),
    form: Form = "ply",
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Generate shapes between two clouds.

    The written clouds include both ends. Coordinates are box-normalised.
    """
    from pcdiff.clouds.generator import PointCloudGenerator
    from pcdiff.clouds.sampling import Sampling, interpolate_to_folder

    session = Session("pcdiff interpolate", seed, device, threads, as_json)
    generator = PointCloudGenerator.from_pretrained(weights).to(device)
    sampling = Sampling(points, steps, sampler)
    written = interpolate_to_folder(
        generator, first, second, output, count, sampling, seed=seed, form=form
    )
    for remark in written.remarks:
        session.note(remark)
    session.finish(
        {"weights": weights, **written.as_dict()},
        f"{count} clouds from {first} to {second} are in {output}; picture: {written.picture}",
    )
