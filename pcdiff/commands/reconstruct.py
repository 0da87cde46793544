"""`pcdiff reconstruct`: encode and decode a cloud."""

from __future__ import annotations

from pathlib import Path

from pcdiff.commands.options import CloudFile, Form, Output, Points, SamplerName, Steps, Weights
from pcdiff.console import Device, Json, Seed, Session, Threads


def reconstruct(
    cloud: CloudFile,
    weights: Weights = "chair",
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
    """Encode and decode a cloud.

    The decoded cloud is in the frame and unit of the input cloud.
    """
    from pcdiff.clouds.generator import PointCloudGenerator
    from pcdiff.clouds.sampling import Sampling, reconstruct_to_folder

    session = Session("pcdiff reconstruct", seed, device, threads, as_json)
    generator = PointCloudGenerator.from_pretrained(weights).to(device)
    written, distance = reconstruct_to_folder(
        generator, cloud, output, Sampling(points, steps, sampler), seed=seed, form=form
    )
    for remark in written.remarks:
        session.note(remark)
    session.finish(
        {"weights": weights, **written.as_dict(), "chamfer": distance},
        f"{written.files[0]}: Chamfer distance to the input {distance:.4g} (box-normalised, "
        f"squared); picture: {written.picture}",
    )
