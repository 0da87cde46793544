"""The command `grasp evaluate`: judge a source of grasps by physics simulation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grasp.commands.options import (
    MOST,
    Frame,
    Friction,
    GraspUnit,
    GripperName,
    ObjectNames,
    PhysicsProtocol,
    Piece,
    SamplingDevice,
    Scale,
    Unit,
    Workers,
    check_results,
    name_options,
)
from pcdiff import console
from pcdiff.console import Json, Seed, Session
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.judging.benchmark import Case
    from grasp.objects.object import Object


@name_options
def evaluate(
    objects: Annotated[
        list[Path] | None,
        typer.Argument(metavar="OBJECT...", help="Meshes, all in the same unit and scale."),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            "--set",
            help="Judge the cases of this frozen set instead of meshes: a folder in --sets.",
        ),
    ] = None,
    sets: Annotated[
        Path, typer.Option(help="Folder of the frozen sets that datasets.frozen wrote.")
    ] = Path("sets"),
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
    protocol: PhysicsProtocol = "3",
    robust: Annotated[
        bool,
        typer.Option(help="Also try each grasp under 16 draws of what nobody knows."),
    ] = True,
    engine: Annotated[
        str | None,
        typer.Option(help="Also try up to 20 grasps per object in a second engine: drake."),
    ] = None,
    density: Annotated[float | None, typer.Option(help="Density of the objects in kg/m³.")] = None,
    friction: Friction = None,
    scale: Scale = None,
    unit: Unit = None,
    object_name: ObjectNames = None,
    piece: Piece = None,
    frame: Frame = None,
    grasp_unit: GraspUnit = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Folder of labelled candidates; labels are reused if present, otherwise created."
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw each object with its best grasps into this .png file."),
    ] = None,
    seed: Seed = 0,
    device: SamplingDevice = "cpu",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Judge a source of grasps by physics simulation.

    Prints results for each object, and for all objects that fit the gripper. An object fits if at
    least 1 % of its first 2000 antipodal candidates are robust. The results are the success rate of
    all grasps and of the 20 best ranked grasps under the protocol and under unknown conditions, the
    coverage of the robust antipodal candidates, precision against coverage, the earth mover's
    distance to these candidates, collisions, and the share of grasps with a straight approach.
    Confidence intervals are computed over objects. Every grasp counts; a grasp in collision is a
    failure.

    With --set, the source may see something else than physics: one side of an object, or a rough
    scan.
    """
    from grasp.grippers.gripper import load_gripper
    from grasp.judging.benchmark import load_set
    from grasp.judging.evaluation import Budget
    from grasp.judging.laboratory import open_laboratory
    from grasp.judging.request import EvaluationRequest, run_evaluation
    from grasp.judging.sheet import draw_sheet
    from grasp.objects.loading import load_object
    from grasp.objects.pieces import Which
    from grasp.physics import cores
    from pcdiff.drawing.png import save_png

    session = Session("grasp evaluate", seed, device, as_json=as_json)
    check_results(None, picture)
    if labels is not None:
        console.check_folder(labels)
    if bool(objects) == (benchmark is not None):
        raise InputError("name either meshes or one --set")
    if benchmark is not None and (scale is not None or unit is not None):
        raise InputError("--scale and --unit apply to meshes only; a set states its unit")
    if benchmark is not None and (object_name or piece is not None):
        raise InputError("--object and --piece apply to meshes only; a set states its objects")
    request = EvaluationRequest(
        gripper=gripper,
        source=source,
        weights=weights,
        view=view,
        budget=Budget(samples, candidates, seed),
        protocol=protocol,
        density=density,
        friction=friction,
        labels=labels,
        frame=frame,
        unit=grasp_unit,
        device=device,
    )
    chosen: Sequence[Object | Case]
    remarks: list[str] = []
    if benchmark is None:
        which = Which(piece, names=tuple(object_name or ()))
        loaded = [
            load_object(path, 1.0 if scale is None else scale, unit, which=which)
            for path in objects or ()
        ]
        remarks = [remark for obj in loaded for remark in obj.remarks]
        chosen, digest = loaded, None
    else:
        frozen = load_set(sets / benchmark)
        chosen, digest = frozen.cases, frozen.digest
    for remark in remarks:
        session.note(remark)
    with (
        console.progress("evaluating", len(chosen) * (samples + candidates)) as advance,
        open_laboratory(
            request.conditions,
            request.settings,
            workers=workers or cores(),
            robustly=robust,
            engine=engine,
            progress=advance,
        ) as laboratory,
    ):
        report = run_evaluation(chosen, request, laboratory)
    if picture is not None:
        save_png(picture, draw_sheet(report, chosen, load_gripper(gripper)))
    table = report.table()
    results = {"set": benchmark, "set_sha256": digest, "remarks": remarks, **report.as_dict()}
    if digest is not None:
        table += f"\n\nFrozen set {benchmark}, SHA-256 {digest}."
    session.finish({**results, "table": table}, table)
