"""The command `grasp evaluate`: judge a source of grasps by physics simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grasp.commands.options import (
    MOST,
    OPTIONS,
    Frame,
    Friction,
    GraspUnit,
    GripperName,
    SamplingDevice,
    Scale,
    Unit,
    Workers,
)
from grasp.commands.physics import open_simulator
from pcdiff import console
from pcdiff.console import Json, Seed, Session


@console.name_options(**OPTIONS)
def evaluate(
    objects: Annotated[
        list[Path],
        typer.Argument(metavar="OBJECT...", help="Meshes, all in the same unit and scale."),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            help="Source of the grasps: antipodal, a grasp file, or a folder with one grasp file "
            "per object.",
            show_default="antipodal",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Weights of a grasp field to judge: a shipped name, or a file."),
    ] = None,
    view: Annotated[
        bool,
        typer.Option(
            "--view",
            help="Let the field see each object from one side only, with camera noise.",
        ),
    ] = False,
    gripper: GripperName = "panda",
    samples: Annotated[
        int,
        typer.Option(
            min=1, max=MOST, help="Number of grasps to request from the source per object."
        ),
    ] = 1000,
    candidates: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST,
            help="Number of antipodal candidates per object; the first 2000 decide "
            "whether the object fits the gripper.",
        ),
    ] = 2000,
    density: Annotated[float | None, typer.Option(help="Density of the objects in kg/m³.")] = None,
    friction: Friction = None,
    scale: Scale = None,
    unit: Unit = None,
    frame: Frame = None,
    grasp_unit: GraspUnit = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Folder of labelled candidates; labels are reused if present, otherwise created."
        ),
    ] = None,
    seed: Seed = 0,
    device: SamplingDevice = "cpu",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Judge a source of grasps by physics simulation.

    Prints results for each object, and for all objects that fit the gripper. An object fits if at
    least 20 of its first 2000 antipodal candidates succeed in physics. The results are the success
    rate of all grasps and of the 20 best ranked grasps, the coverage of the successful antipodal
    candidates, precision against coverage, and the earth mover's distance to the successful
    candidates. Confidence intervals are computed over objects. Every grasp counts; a grasp in
    collision is a failure.
    """
    from grasp.judging.evaluation import Budget
    from grasp.judging.request import EvaluationRequest, run_evaluation
    from grasp.objects.loading import load_object

    session = Session("grasp evaluate", seed, device, as_json=as_json)
    if labels is not None:
        console.check_folder(labels)
    request = EvaluationRequest(
        gripper=gripper,
        source=source,
        weights=weights,
        view=view,
        budget=Budget(samples, candidates, seed),
        density=density,
        friction=friction,
        labels=labels,
        frame=frame,
        unit=grasp_unit,
        device=device,
    )
    loaded = [load_object(path, 1.0 if scale is None else scale, unit) for path in objects]
    with (
        console.progress("evaluating", len(loaded) * (samples + candidates)) as advance,
        open_simulator(workers, advance, **request.physics) as simulator,
    ):
        report = run_evaluation(loaded, request, simulator)
    session.finish({**report.as_dict(), "table": report.table()}, report.table())
