"""The command `grasp simulate`: test the grasps in a file by physics simulation."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grasp.commands.options import (
    GRASP_FILE,
    Frame,
    Friction,
    GraspUnit,
    ObjectId,
    ObjectNames,
    PhysicsProtocol,
    Piece,
    Scale,
    Unit,
    Workers,
    check_results,
    name_options,
)
from pcdiff import console
from pcdiff.console import Json, Session
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.judging.labels import Outcomes
    from grasp.judging.trials import TrialPlan
    from pcdiff.drawing.parts import Image


@name_options
def simulate(
    mesh: Annotated[Path, typer.Argument(metavar="OBJECT", help="Mesh of the object to grasp.")],
    grasps: Annotated[Path, typer.Argument(help=GRASP_FILE)],
    gripper: Annotated[
        str | None,
        typer.Option(
            help="Gripper: name of a shipped gripper, or a .toml file. Default: the gripper in the "
            "grasp file."
        ),
    ] = None,
    mass: Annotated[
        float | None,
        typer.Option(
            help="Mass of the object in kg. Default: the mass in the grasp file; if unknown, "
            "computed from the volume."
        ),
    ] = None,
    friction: Friction = None,
    protocol: PhysicsProtocol = "3",
    robust: Annotated[
        bool,
        typer.Option("--robust", help="Also try each grasp under 16 draws of unknown conditions."),
    ] = False,
    scale: Scale = None,
    unit: Unit = None,
    frame: Frame = None,
    grasp_unit: GraspUnit = None,
    object_id: ObjectId = None,
    object_name: ObjectNames = None,
    piece: Piece = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the grasps with their labels to this file.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write a picture of the trials to this .png file.")
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Index, from 0, of a single trial to show in --picture. Default: several trials.",
        ),
    ] = None,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Test the grasps in a file by physics simulation.

    The hand is free to move and closes with a fixed force; then the object is shaken. A grasp in
    collision fails. Prints the share of successful grasps with Wilson's 95 % confidence interval.
    Mass and scale are read from the grasp file unless options set them; so is the friction if the
    file states the same protocol. Nothing is random: repeated runs give equal outcomes.
    """
    from grasp.formats import write_grasps
    from grasp.judging.proportions import success_rate
    from grasp.judging.trials import TrialOptions, plan_trials
    from grasp.objects.pieces import Which
    from grasp.physics import Conditions, cores, processes, protocol_named, simulate_robust
    from grasp.physics import simulate as simulate_grasps
    from pcdiff.drawing.png import save_png

    session = Session("grasp simulate", 0, as_json=as_json)
    settings = protocol_named(protocol)
    if robust and friction is not None:
        raise InputError("--robust draws the friction, so it cannot be combined with --friction")
    if trial is not None and picture is None:
        raise InputError("--trial selects the trial in the picture, so it requires --picture")
    check_results(output, picture)
    which = Which(piece, names=tuple(object_name or ()))
    options = TrialOptions(gripper, scale, unit, frame, grasp_unit, object_id, which)
    plan = plan_trials(mesh, grasps, options)
    for remark in plan.obj.remarks:
        session.note(remark)
    count = len(plan.grasps)
    if trial is not None and trial >= count:
        raise InputError(f"--trial must be 0 to {count - 1} for {grasps}, got {trial}")
    if plan.other_geometry:
        typer.echo(
            f"warning: the grasps in {grasps} belong to another geometry than {mesh}", err=True
        )
    if friction is None and plan.grasps.protocol == settings.version:
        friction = plan.grasps.friction
    conditions = Conditions(plan.grasps.mass if mass is None else mass, friction=friction)
    with console.progress("simulating", count) as advance, processes(workers or cores()) as pool:
        outcomes = plan.run(
            functools.partial(
                simulate_grasps,
                conditions=conditions,
                protocol=settings,
                pool=pool,
                progress=advance,
            )
        )
        robustly = None
        if robust:
            robustly = simulate_robust(
                plan.obj,
                plan.gripper,
                plan.grasps.poses,
                Conditions(mass=conditions.mass),
                protocol=settings,
                pool=pool,
            )
    if outcomes.warning is not None:
        typer.echo(f"warning: {outcomes.warning}", err=True)
    if output is not None:
        write_grasps(output, plan.labelled(outcomes), gripper=plan.gripper)
    if picture is not None:
        save_png(picture, _draw(plan, outcomes, trial))
    rate = success_rate(outcomes.success)
    failures = _counts(outcomes.failure[~outcomes.success].tolist())
    files = [str(path) for path in (output, picture) if path is not None]
    results: dict[str, Any] = {
        "success_all": rate.value,
        "success_all_interval": [rate.low, rate.high],
        "grasps": count,
        "failures": failures,
        "gripper": plan.gripper.name,
        "protocol": outcomes.protocol,
        "mass": outcomes.mass,
        "friction": outcomes.friction,
        "warning": outcomes.warning,
        "remarks": list(plan.obj.remarks),
        "files": files,
    }
    if robustly is not None:
        results |= {
            "robust_all": float(robustly.success.mean()),
            "robust_grasps": int(robustly.robust.sum()),
            "robust_by_grasp": robustly.success.tolist(),
            "uncertainty": robustly.uncertainty,
        }
    lines = [
        f"{int(outcomes.success.sum())} of {count} grasps hold: {100 * rate.value:.1f} %, 95 % "
        f"interval {100 * rate.low:.1f} to {100 * rate.high:.1f} % ({plan.gripper.name}, protocol "
        f"{outcomes.protocol})"
    ]
    if robustly is not None:
        lines.append(
            f"{int(robustly.robust.sum())} of {count} grasps are robust; mean robust success "
            f"{100 * robustly.success.mean():.1f} % (uncertainty {robustly.uncertainty})"
        )
    if failures:
        lines.append("failures: " + ", ".join(f"{name} {n}" for name, n in failures.items()))
    if trial is not None:
        results["trial"] = _outcome(outcomes, trial)
        lines.append(f"trial {trial}: {_outcome(outcomes, trial)}")
    session.finish(results, "\n".join([*lines, *files]))


def _draw(plan: TrialPlan, outcomes: Outcomes, trial: int | None) -> Image:
    """Draw one trial, with the hand at its final opening.

    If `trial` is None, draw several trials of each outcome with open hands.
    """
    import numpy as np

    from grasp.pictures import draw_grasps, draw_outcomes, outcome_colours

    if trial is None:
        return draw_outcomes(plan.obj, plan.gripper, plan.grasps.poses, outcomes.success)
    only = np.array([trial])
    return draw_grasps(
        plan.obj,
        plan.gripper,
        plan.grasps.poses[only],
        colours=outcome_colours(outcomes.success[only]),
        opening=outcomes.width[only],
    )


def _outcome(outcomes: Outcomes, trial: int) -> str:
    return "holds" if outcomes.success[trial] else f"fails: {outcomes.failure[trial]}"


def _counts(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}
