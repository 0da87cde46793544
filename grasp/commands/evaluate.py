"""`grasp evaluate`: judge a source of grasps by physics."""

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
    PhysicsDevice,
    Scale,
    Unit,
    Workers,
)
from grasp.commands.physics import open_simulator, physics_session
from pcdiff import console
from pcdiff.console import Json, Seed
from pcdiff.errors import InputError


@console.name_options(**OPTIONS)
def evaluate(
    objects: Annotated[
        list[Path],
        typer.Argument(metavar="OBJECT...", help="Meshes, all in the same unit and scale."),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            help="Source: antipodal, a grasp file, or a folder with one grasp file per object.",
            show_default="antipodal",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Judge this grasp field: a name or a file.")
    ] = None,
    view: Annotated[
        bool,
        typer.Option(
            "--view",
            help="Give the field only a view of one side of each object, with camera noise.",
        ),
    ] = False,
    gripper: GripperName = "panda",
    samples: Annotated[
        int, typer.Option(min=1, max=MOST, help="Grasps per object from the source.")
    ] = 1000,
    candidates: Annotated[
        int,
        typer.Option(
            min=1, max=MOST, help="Antipodal candidates per object; 2000 decide whether it fits."
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
        typer.Option(help="Folder of labelled candidates: reused if present, otherwise created."),
    ] = None,
    seed: Seed = 0,
    device: PhysicsDevice = "cpu",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Judge a source of grasps by physics.

    Prints, for each object and for all objects that fit the gripper: success of all grasps and of
    the 20 best ranked, coverage of the antipodal candidates that hold, precision against coverage,
    and earth mover's distance to those candidates. Confidence intervals are computed over objects.
    Every grasp counts, and one in collision is a failure.
    """
    from grasp.judging.evaluation import Budget
    from grasp.judging.request import EvaluationRequest, run_evaluation
    from grasp.objects.loading import load_object

    session = physics_session("grasp evaluate", seed, device, as_json)
    if labels is not None:
        console.check_folder(labels)
    if view and weights is None:
        raise InputError("--view is what a field sees, so it needs --weights")
    if source is not None and weights is not None:
        raise InputError("--source and --weights are two sources: give one of them")
    loaded = [load_object(path, 1.0 if scale is None else scale, unit) for path in objects]
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
    )
    with (
        console.progress("evaluating", len(loaded) * (samples + candidates)) as advance,
        open_simulator(workers, advance, **request.physics) as simulator,
    ):
        report = run_evaluation(loaded, request, simulator)
    session.finish({**report.as_dict(), "table": report.table()}, report.table())
