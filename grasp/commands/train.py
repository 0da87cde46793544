"""`grasp train`: a grasp field from labelled grasps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import typer

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
    Threads,
    ValidateEvery,
)
from pcdiff.errors import InputError


def train(
    labels: Annotated[
        list[Path],
        typer.Argument(metavar="GRASPS_DIR...", help="Folders that datasets.labels wrote."),
    ],
    output: RunFolder,
    gripper: Annotated[
        list[str] | None,
        typer.Option(help="A name or a .toml file; may be repeated. Default: all with labels."),
    ] = None,
    networks: Annotated[
        Literal["both", "energy", "success"], typer.Option(help="Which to train.")
    ] = "both",
    architecture: Annotated[
        Literal["default", "paper"] | None,
        typer.Option(
            help="Of the energy network; paper: that of SE(3)-DiffusionFields.",
            show_default="default",
        ),
    ] = None,
    validate_one_in: Annotated[
        int, typer.Option(min=2, help="One object in so many is for validation.")
    ] = 12,
    grasps: Annotated[int, typer.Option(min=1, help="Of each object and gripper in a step.")] = 16,
    steps: OptimizerSteps = 20_000,
    batch_size: Annotated[
        int, typer.Option(min=1, max=2**20, help="Objects a step, all processes.")
    ] = 24,
    learning_rate: LearningRate = 1e-3,
    ema_decay: EmaDecay = 0.999,
    validate_every: ValidateEvery = 500,
    resume: Resume = False,
    initialize_from: InitializeFrom = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Train a grasp field.

    On labelled grasps of any objects and grippers, e.g. a user's own. Writes last.safetensors (for
    --resume), best.safetensors (lowest validation loss), metrics.csv and curves.png. To use two
    processes: torchrun --nproc-per-node 2 -m grasp train ...
    """
    from grasp.field.configuration import DEFAULT, PAPER, FieldConfig
    from grasp.field.items import DISTANCES, FEWEST, count_objects, grippers_in, read_items, split
    from grasp.field.model import GraspField
    from grasp.field.objective import NETWORKS, FieldObjective
    from grasp.field.prepared import Recipe
    from grasp.physics import cores, processes
    from pcdiff.learning import distributed
    from pcdiff.learning.configuration import TrainingConfig
    from pcdiff.learning.progress import train_with_progress

    session = Session("grasp train", seed, device, threads, as_json)
    hands = {folder: grippers_in(folder, gripper or []) for folder in labels}
    objects = sum(count_objects(folder, hands[folder]) for folder in labels)
    fresh = initialize_from is None
    if architecture is not None and not fresh:
        raise InputError("--architecture: the weights of --initialize-from decide this")
    model = (
        GraspField.initialized(FieldConfig(architecture or DEFAULT), seed)
        if initialize_from is None
        else GraspField.from_pretrained(initialize_from).train().requires_grad_(True)
    )
    distances = DISTANCES if model.config.architecture == PAPER else 0
    recipe = Recipe(seed, distances=distances)
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
    with distributed.processes(device):
        with (
            distributed.first_goes_first(),
            console.progress("reading", objects, distributed.is_first()) as advance,
            processes(cores()) as pool,
        ):
            items = [
                item
                for folder in labels
                for item in read_items(
                    folder, hands[folder], output / "objects", recipe, pool, advance
                )
            ]
        training, validation = split(items, validate_one_in)
        if not training or not validation:
            raise InputError(
                f"--validate-one-in {validate_one_in} leaves {len(training)} labelled objects to "
                f"train on and {len(validation)} to validate on, expected some of each"
            )
        # Success alone needs them, too, where the scales of the inputs are not fitted yet.
        if (fresh or networks != "success") and not any(item.has_grasps for item in training):
            raise InputError(
                f"no object to train on has {FEWEST} grasps that hold, expected at least one"
            )
        trained_on = {hand.name: hand.sha256 for each in hands.values() for hand in each}
        model.config = dataclasses.replace(
            model.config, grippers=model.config.grippers | trained_on
        )
        objective = FieldObjective(
            model,
            training,
            validation,
            grasps,
            NETWORKS if networks == "both" else (networks,),
            origin={
                "source": [folder.name for folder in labels],
                "initialized_from": initialize_from,
            },
        )
        if fresh:
            objective.standardize(seed)
        finished = train_with_progress(objective, settings, output, device, resume)
    if finished.no_curves is not None:
        session.note(f"no curves: {finished.no_curves}")
    session.finish(finished.as_dict(), finished.summary())
