"""`grasp evaluate`: what physics says of a source of grasps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grasp.commands.options import (
    MOST,
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


def evaluate(
    objects: Annotated[
        list[Path], typer.Argument(metavar="OBJECT...", help="Meshes, in one unit and scale.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            help="antipodal, a grasp file, or a folder with one for each object.",
            show_default="antipodal",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Judge this grasp field: a name or a file.")
    ] = None,
    view: Annotated[
        bool,
        typer.Option(
            "--view", help="The field sees one side of each object, with a depth camera's noise."
        ),
    ] = False,
    gripper: GripperName = "panda",
    samples: Annotated[
        int, typer.Option(min=1, max=MOST, help="Grasps an object from the source.")
    ] = 1000,
    candidates: Annotated[
        int,
        typer.Option(
            min=1, max=MOST, help="Antipodal candidates an object; 2000 define what fits."
        ),
    ] = 2000,
    density: Annotated[float | None, typer.Option(help="Of the objects, kg/m³.")] = None,
    friction: Friction = None,
    scale: Scale = None,
    unit: Unit = None,
    frame: Frame = None,
    grasp_unit: GraspUnit = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of labelled candidates: read where there, written where not."),
    ] = None,
    seed: Seed = 0,
    device: PhysicsDevice = "cpu",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Judge a source of grasps by physics.

    Prints for each object, and for all objects that fit the gripper with intervals over objects:
    success of all grasps and of the 20 best ranked, coverage of the antipodal candidates that hold,
    precision against coverage, and earth mover's distance to them. Every grasp counts; one in
    collision is a failure.
    """
    from grasp.field.trained import GraspField
    from grasp.grippers.gripper import load_gripper
    from grasp.judging.evaluation import Budget
    from grasp.judging.evaluation import evaluate as run
    from grasp.judging.sources import ANTIPODAL, field_source, kept_labels, named_source
    from grasp.judging.trials import check_mesh
    from grasp.objects.loading import load_object
    from grasp.physics import PROTOCOL

    session = physics_session("grasp evaluate", seed, device, as_json)
    if labels is not None:
        console.check_folder(labels)
    hand = load_gripper(gripper)
    loaded = [load_object(path, 1.0 if scale is None else scale, unit) for path in objects]
    for obj in loaded:
        check_mesh(obj)
    if view and weights is None:
        raise InputError("--view is what a field sees, so it needs --weights")
    if weights is None:
        source = source or ANTIPODAL
        grasps = named_source(source, loaded, hand, frame=frame, unit=grasp_unit)
    else:
        if source is not None:
            raise InputError("--source and --weights are two sources: give one of them")
        source = f"field {weights}" + (" from one view" if view else "")
        grasps = field_source(GraspField.from_pretrained(weights), hand, view=view)
    friction = PROTOCOL.friction if friction is None else friction
    density = PROTOCOL.density if density is None else density
    physics = {"protocol": PROTOCOL.version, "friction": friction, "density": density}
    with (
        console.progress("evaluating", len(loaded) * (samples + candidates)) as advance,
        open_simulator(workers, advance, density=density, friction=friction) as simulator,
    ):
        report = run(
            grasps,
            loaded,
            hand,
            simulator,
            name=source,
            budget=Budget(samples, candidates, seed),
            physics={"density": density},
            labels=None
            if labels is None
            else kept_labels(labels, hand, simulator, count=candidates, seed=seed, physics=physics),
        )
    session.finish({**report.as_dict(), "table": report.table()}, report.table())
