"""The command `grasp train`: train a grasp field on labelled grasps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from grasp.commands.options import OPTIONS
from pcdiff import console
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
    **OPTIONS,
    architecture="--architecture",
    width="--width",
    config="--config",
    steps="--steps",
    resume="--resume",
)
def train(
    labels: Annotated[
        list[Path],
        typer.Argument(metavar="GRASPS_DIR...", help="Folders of labels that grasp label wrote."),
    ],
    output: RunFolder,
    gripper: Annotated[
        list[str] | None,
        typer.Option(
            help="Gripper: name of a shipped gripper, or a .toml file; may be repeated. Default: "
            "all grippers that have labels."
        ),
    ] = None,
    networks: Annotated[
        Literal["both", "energy", "success"], typer.Option(help="Networks to train.")
    ] = "both",
    architecture: Annotated[
        Literal["default", "paper"] | None,
        typer.Option(
            help="Energy network: our default, or the network of the paper SE(3)-DiffusionFields.",
            show_default="default",
        ),
    ] = None,
    width: Width = None,
    config: SettingsFile = None,
    validate_one_in: Annotated[
        int, typer.Option(min=2, max=10**6, help="Reserve one in N objects for validation.")
    ] = 12,
    grasps: Annotated[
        int,
        typer.Option(
            min=1, max=10**5, help="Number of grasps per object and gripper in each step."
        ),
    ] = 16,
    tail: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of the grasps that are noised beyond the level that the energy network is "
            "told, so that it also learns places far from all grasps.",
            show_default="0.25; 0 for the architecture paper",
        ),
    ] = None,
    contrast: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Weight of the loss by which the energy tells successes from failures.",
            show_default="0.3; 0 for the architecture paper",
        ),
    ] = None,
    steps: OptimizerSteps = 20_000,
    batch_size: Annotated[
        int, typer.Option(min=1, max=2**20, help="Number of objects per step, over all processes.")
    ] = 24,
    learning_rate: LearningRate = 1e-3,
    ema_decay: EmaDecay = 0.999,
    validate_every: ValidateEvery = 500,
    tensorboard: TensorBoard = False,
    resume: Resume = False,
    initialize_from: InitializeFrom = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Train a grasp field on labelled grasps of any objects and grippers.

    Writes last.safetensors (for --resume), best.safetensors (lowest validation loss), metrics.csv
    and curves.png. To use two processes: torchrun --nproc-per-node 2 -m grasp train ...
    """
    from grasp.field.objective import NETWORKS
    from grasp.field.training import TrainingData, prepare_run
    from grasp.physics import cores, processes
    from pcdiff.learning import distributed
    from pcdiff.learning.configuration import TrainingConfig
    from pcdiff.learning.progress import train_with_progress
    from pcdiff.learning.trainer import check_run

    session = Session("grasp train", seed, device, threads, as_json)
    if architecture is not None and initialize_from is not None:
        raise InputError(
            "--architecture cannot be combined with --initialize-from: the initial weights "
            "determine the architecture"
        )
    data = TrainingData(
        grippers=tuple(gripper or ()),
        networks=NETWORKS if networks == "both" else (networks,),
        architecture=architecture,
        width=width,
        config=config,
        initialize_from=initialize_from,
        validate_one_in=validate_one_in,
        grasps=grasps,
        tail=tail,
        contrast=contrast,
        seed=seed,
    )
    settings = TrainingConfig(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        ema_decay=ema_decay,
        bfloat16=False,
        validate_every=validate_every,
        seed=seed,
    )
    console.check_folder(output)
    check_run(output, settings, resume)
    run = prepare_run(labels, data)
    with distributed.processes(device):
        with (
            distributed.first_goes_first(),
            console.progress("reading", run.count_objects(), distributed.is_first()) as advance,
            processes(cores()) as pool,
        ):
            items = run.read(output / "objects", pool, advance)
        objective = run.objective(items)
        finished = train_with_progress(
            objective, settings, output, device, resume, tensorboard=tensorboard
        )
    if finished.no_curves is not None:
        session.note(f"no curves: {finished.no_curves}")
    session.finish(finished.as_dict(), finished.summary())
