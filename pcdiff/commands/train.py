"""`pcdiff train`: train a generator on clouds."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pcdiff import console
from pcdiff.commands.options import Category, CloudsFile
from pcdiff.console import (
    Device,
    EmaDecay,
    InitializeFrom,
    Json,
    LearningRate,
    OptimizerSteps,
    Resume,
    RunFolder,
    Seed,
    Session,
    SettingsFile,
    TensorBoard,
    Threads,
    ValidateEvery,
    Width,
)
from pcdiff.errors import InputError


@console.name_options(
    kl_weight="--kl-weight",
    learning_rate="--learning-rate",
    batch_size="--batch-size",
    ema_decay="--ema-decay",
    levels_per_cloud="--levels-per-cloud",
    points="--points",
    prior="--prior",
    schedule="--schedule",
    width="--width",
    steps="--steps",
    resume="--resume",
)
def train(
    clouds: CloudsFile,
    output: RunFolder,
    category: Category = "chair",
    prior: Annotated[
        Literal["flow", "gaussian", "none"] | None,
        typer.Option(help="Prior of the latent; none means an auto-encoder.", show_default="flow"),
    ] = None,
    kl_weight: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Weight of the latent's KL divergence in the loss.",
            show_default="1e-4",
        ),
    ] = None,
    schedule: Annotated[
        Literal["linear", "cosine"] | None,
        typer.Option(help="Noise schedule.", show_default="cosine"),
    ] = None,
    width: Width = None,
    config: SettingsFile = None,
    points: Annotated[
        int, typer.Option(min=2, max=10**6, help="Number of points per cloud in a step.")
    ] = 512,
    levels_per_cloud: Annotated[
        int, typer.Option(min=1, max=10**6, help="Number of noise levels per cloud in a step.")
    ] = 4,
    mirror: Annotated[
        Literal["none", "x", "y", "z"],
        typer.Option(help="Axis along which each cloud is reflected with probability 1/2."),
    ] = "none",
    steps: OptimizerSteps = 20_000,
    batch_size: Annotated[
        int, typer.Option(min=1, max=2**20, help="Number of clouds per step in all processes.")
    ] = 32,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**20,
            help="Number of clouds that pass through the networks together; 0 means all.",
            # POINTS_IN_CACHE of pcdiff.clouds.training, which --help does not import.
            show_default="4096 / POINTS on a CPU, 0 on a GPU",
        ),
    ] = None,
    learning_rate: LearningRate = 1e-3,
    ema_decay: EmaDecay = 0.999,
    validate_every: ValidateEvery = 500,
    bfloat16: Annotated[bool, typer.Option(help="Run the networks in bfloat16.")] = True,
    compile_networks: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile",
            help="Use torch.compile (needs a C++ compiler).",
        ),
    ] = False,
    tensorboard: TensorBoard = False,
    resume: Resume = False,
    initialize_from: InitializeFrom = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Train a generator of clouds.

    Trains on the split "train" and validates on the split "val". Writes last.safetensors (for
    --resume), best.safetensors (lowest validation loss), metrics.csv and curves.png. To use two
    processes: torchrun --nproc-per-node 2 -m pcdiff train ...
    """
    from pcdiff.clouds.objective import StepClouds
    from pcdiff.clouds.training import (
        NewModel,
        TrainingClouds,
        fastest_micro_batch,
        train_on_file,
    )
    from pcdiff.learning.configuration import TrainingConfig

    session = Session("pcdiff train", seed, device, threads, as_json)
    new = NewModel(prior, kl_weight, schedule, width, config)
    if initialize_from is not None:
        for name in new.stated():
            option = "--" + name.replace("_", "-")
            raise InputError(
                f"{option} cannot be combined with --initialize-from: the initial weights "
                "determine this setting"
            )
    settings = TrainingConfig(
        steps=steps,
        batch_size=batch_size,
        micro_batch=fastest_micro_batch(points, device) if micro_batch is None else micro_batch,
        learning_rate=learning_rate,
        ema_decay=ema_decay,
        validate_every=validate_every,
        bfloat16=bfloat16,
        compile=compile_networks,
        seed=seed,
    )
    finished = train_on_file(
        TrainingClouds(clouds, category, StepClouds(points, levels_per_cloud, mirror)),
        new if initialize_from is None else initialize_from,
        settings,
        output,
        device,
        resume,
        tensorboard=tensorboard,
    )
    if finished.no_curves is not None:
        session.note(f"no curves: {finished.no_curves}")
    session.finish(finished.as_dict(), finished.summary())
