"""`pcdiff evaluate`: compare generated shapes with real shapes."""

from __future__ import annotations

from typing import Annotated

import typer

from pcdiff import console
from pcdiff.commands.options import (
    Category,
    CloudsFile,
    Points,
    SamplerName,
    Steps,
    Temperature,
    Weights,
)
from pcdiff.console import Device, Json, Seed, Session, Threads


@console.name_options(
    distances="--no-emd", floor_draws="--floor-draws", points="--points", sets="--sets"
)
def evaluate(
    clouds: CloudsFile,
    category: Category = "chair",
    weights: Weights = "chair",
    split: Annotated[str, typer.Option(help="Split to compare with: train, val or test.")] = "test",
    sets: Annotated[
        int,
        typer.Option(min=1, max=10**4, help="Number of generated sets, with seeds SEED, SEED+1, …"),
    ] = 10,
    floor_draws: Annotated[
        int,
        typer.Option(
            min=0,
            max=10**4,
            help="Number of random training subsets that are scored in place of generated sets.",
        ),
    ] = 5,
    points: Points = 1024,
    emd: Annotated[
        bool, typer.Option(help="Also compute the earth mover's distance (slow).")
    ] = True,
    steps: Steps = 20,
    sampler: SamplerName = "multistep",
    temperature: Temperature = 1.0,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Compare generated shapes with real shapes.

    Prints 1-nearest-neighbour accuracy (1-NNA), coverage (COV), minimum matching distance (MMD),
    Jensen-Shannon divergence (JSD) and memorisation distances. The floor is the score of real
    training shapes in place of generated shapes. Every cloud is box-normalised, and a generated set
    has one shape per test shape. The Chamfer distance is squared and sums both directions. The
    earth mover's distance is exact and uses 512 points per cloud.
    """
    import torch

    from pcdiff.clouds.evaluation import EvaluationConfig, evaluate_on_file
    from pcdiff.clouds.generator import PointCloudGenerator
    from pcdiff.clouds.sampling import Sampling

    session = Session("pcdiff evaluate", seed, device, threads, as_json)
    config = EvaluationConfig(
        sets=sets,
        seed=seed,
        points=points,
        distances=("cd", "emd") if emd else ("cd",),
        floor_draws=floor_draws,
        workers=torch.get_num_threads(),
    )
    generator = PointCloudGenerator.from_pretrained(weights).to(device)
    sampling = Sampling(points, steps, sampler)
    with console.progress("evaluating", 1000) as advance:
        shown = 0

        def show(fraction: float) -> None:
            nonlocal shown
            advance(round(1000 * fraction) - shown)
            shown = round(1000 * fraction)

        report = evaluate_on_file(
            generator, clouds, category, split, config, sampling, temperature, show
        )
    table = report.table()
    session.finish({"weights": weights, **report.as_dict(), "table": table}, table)
