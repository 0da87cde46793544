"""`pcdiff evaluate`: compare generated shapes with real shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pcdiff import console
from pcdiff.commands.options import (
    Category,
    CloudsFile,
    Points,
)
from pcdiff.console import Device, Json, Seed, Session, Threads
from pcdiff.errors import InputError


@console.name_options(
    distances="--no-emd",
    floor_draws="--floor-draws",
    points="--points",
    sets="--sets",
)
def evaluate(
    clouds: CloudsFile,
    category: Category = "chair",
    weights: Annotated[
        str | None,
        typer.Option(
            help="Name of weights that come with pcdiff, or path of a .safetensors file.",
            show_default="chair",
        ),
    ] = None,
    generated: Annotated[
        Path | None,
        typer.Option(
            help="Judge the clouds in this folder, .npy array or HDF5 file instead of a model."
        ),
    ] = None,
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
    steps: Annotated[
        int | None,
        typer.Option(
            min=2, max=10**4, help="Number of network evaluations per cloud.", show_default="20"
        ),
    ] = None,
    sampler: Annotated[
        Literal["multistep", "ddim", "ancestral"] | None,
        typer.Option(
            help="Sampler: DPM-Solver++(2M), DDIM, or DDPM's ancestral sampling.",
            show_default="multistep",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=10,
            help="Spread of the latent. Values below 1 give more typical shapes and less variety.",
            show_default="1.0",
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Compare generated shapes with real shapes: those of a model, or of --generated.

    Prints 1-nearest-neighbour accuracy (1-NNA), coverage (COV), minimum matching distance (MMD),
    Jensen-Shannon divergence (JSD) and memorisation distances. The floor is the score of real
    training shapes in place of generated shapes. Every cloud is box-normalised, and a generated set
    has one shape per test shape. The Chamfer distance is squared and sums both directions. The
    earth mover's distance is exact and uses 512 points per cloud.
    """
    import torch

    from pcdiff.clouds.evaluation import EvaluationConfig, evaluate_on_file
    from pcdiff.clouds.generator import PointCloudGenerator
    from pcdiff.clouds.judging import evaluate_generated
    from pcdiff.clouds.sampling import Sampling

    if generated is not None:
        stated = {"weights": weights, "steps": steps, "sampler": sampler}
        for name, value in {**stated, "temperature": temperature}.items():
            if value is not None:
                raise InputError(
                    f"--{name} concerns a model, so it cannot be combined with --generated"
                )
    session = Session("pcdiff evaluate", seed, device, threads, as_json)
    config = EvaluationConfig(
        sets=sets,
        seed=seed,
        points=points,
        distances=("cd", "emd") if emd else ("cd",),
        floor_draws=floor_draws,
        workers=torch.get_num_threads(),
    )
    with console.progress("evaluating", 1000) as advance:
        shown = 0

        def show(fraction: float) -> None:
            nonlocal shown
            advance(round(1000 * fraction) - shown)
            shown = round(1000 * fraction)

        if generated is not None:
            source = {"generated_clouds": str(generated)}
            report = evaluate_generated(generated, clouds, category, split, config, show)
        else:
            source = {"weights": weights or "chair"}
            report = evaluate_on_file(
                PointCloudGenerator.from_pretrained(source["weights"]).to(device),
                clouds,
                category,
                split,
                config,
                Sampling(points, steps or 20, sampler or "multistep"),
                1.0 if temperature is None else temperature,
                show,
            )
    for remark in report.remarks:
        session.note(remark)
    table = report.table()
    session.finish({**source, **report.as_dict(), "table": table}, table)
