"""`grasp simulate`: what physics says of the grasps in a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grasp.commands.options import (
    Frame,
    Friction,
    GraspUnit,
    PhysicsDevice,
    Scale,
    Unit,
    Workers,
    check_results,
)
from grasp.commands.physics import check_mesh, open_simulator, physics_session
from pcdiff import console
from pcdiff.console import Json, Seed
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.formats import Grasps
    from grasp.grippers.gripper import Gripper
    from grasp.judging.labels import Outcomes
    from grasp.objects.object import Object

_SHOWN = 15  # trials of either outcome in a picture of many, at most


def simulate(
    mesh: Annotated[Path, typer.Argument(metavar="OBJECT", help="A mesh, as the grasps are of.")],
    grasps: Annotated[Path, typer.Argument(help="Grasps: .json, .h5, .hdf5, .yaml or .yml.")],
    gripper: Annotated[
        str | None, typer.Option(help="A name or a .toml file; by default the grasp file's.")
    ] = None,
    mass: Annotated[
        float | None, typer.Option(help="Of the object, kg; by its volume if nothing says it.")
    ] = None,
    friction: Friction = None,
    scale: Scale = None,
    unit: Unit = None,
    frame: Frame = None,
    grasp_unit: GraspUnit = None,
    output: Annotated[Path | None, typer.Option(help="Write the grasps with their labels.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a PNG of trials.")] = None,
    trial: Annotated[
        int | None,
        typer.Option(min=0, help="The one in the picture, from 0; else some of each outcome."),
    ] = None,
    seed: Seed = 0,
    device: PhysicsDevice = "cpu",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Put grasps through physics.

    The free hand closes with a fixed force, then the object is shaken; a grasp in collision is a
    failure. Prints how many hold with Wilson's 95 % interval. Mass, friction and scale are those of
    the grasp file unless given. The physics draws nothing, so the seed changes nothing.
    """
    from grasp.formats import read_grasps, write_grasps
    from grasp.grippers.gripper import load_gripper
    from grasp.judging.proportions import success_rate
    from grasp.objects.loading import load_object

    session = physics_session("grasp simulate", seed, device, as_json)
    if trial is not None and picture is None:
        raise InputError("--trial says what --picture shows, so it needs that")
    check_results(output, picture)
    read = read_grasps(grasps, frame=frame, unit=grasp_unit)
    if not len(read):
        raise InputError(f"{grasps} holds no grasps: {read.reason}")
    if trial is not None and trial >= len(read):
        raise InputError(f"--trial must be 0 to {len(read) - 1} for {grasps}, got {trial}")
    named = read.gripper if gripper is None else gripper
    if named is None:
        raise InputError(f"{grasps} does not name its gripper: give --gripper")
    hand = load_gripper(named)
    obj = load_object(mesh, *_scaling(scale, unit, read.object_scale))
    check_mesh(obj)
    if read.object_sha256 not in (None, obj.sha256):
        typer.echo(f"warning: {grasps} is of another geometry than {mesh}", err=True)
    with (
        console.progress("simulating", len(read)) as advance,
        open_simulator(
            workers,
            advance,
            mass=read.mass if mass is None else mass,
            friction=read.friction if friction is None else friction,
        ) as run,
    ):
        trials = run(obj, hand, read.poses)
    if output is not None:
        write_grasps(output, _labelled(read, trials, obj, hand))
    if picture is not None:
        _draw_trials(picture, obj, hand, read, trials, trial)
    rate = success_rate(trials.success)
    failures = _counts(trials.failure[~trials.success].tolist())
    files = [str(path) for path in (output, picture) if path is not None]
    results = {
        "success_all": rate.value,
        "success_all_interval": [rate.low, rate.high],
        "grasps": len(read),
        "failures": failures,
        "gripper": hand.name,
        "protocol": trials.protocol,
        "mass": trials.mass,
        "friction": trials.friction,
        "files": files,
    }
    if trial is not None:
        results["trial"] = _outcome(trials, trial)
    held = int(trials.success.sum())
    lines = [
        f"{held} of {len(read)} grasps hold: {100 * rate.value:.1f} %, 95 % interval "
        f"{100 * rate.low:.1f} to {100 * rate.high:.1f} % ({hand.name}, protocol {trials.protocol})"
    ]
    if failures:
        lines.append("failures: " + ", ".join(f"{name} {n}" for name, n in failures.items()))
    if trial is not None:
        lines.append(f"trial {trial}: {_outcome(trials, trial)}")
    session.finish(results, "\n".join([*lines, *files]))


def _scaling(scale: float | None, unit: str | None, stated: float) -> tuple[float, str | None]:
    """The scale and unit given; else what the grasp file states, which turns all into metres."""
    if scale is None and unit is None and stated != 1:
        return stated, "m"
    return (1.0 if scale is None else scale), unit


def _labelled(grasps: Grasps, trials: Outcomes, obj: Object, gripper: Gripper) -> Grasps:
    from grasp.judging.labels import with_outcomes

    return dataclasses.replace(
        with_outcomes(grasps, trials),
        gripper=gripper.name,
        object_file=obj.file,
        object_scale=obj.scale,
        object_sha256=obj.sha256,
        tool_center_point=gripper.tool_center_point,
    )


def _draw_trials(
    path: Path, obj: Object, gripper: Gripper, grasps: Grasps, trials: Outcomes, trial: int | None
) -> None:
    """One trial with the hand as it ended, or some that hold and some that do not, wide open."""
    import numpy as np

    from grasp.pictures import draw_grasps, outcome_colours
    from pcdiff.drawing.png import save_png

    if trial is None:
        held, lost = np.flatnonzero(trials.success), np.flatnonzero(~trials.success)
        # Every so many-th, so that at most _SHOWN are left.
        shown = np.concatenate([each[:: max(1, -(-len(each) // _SHOWN))] for each in (held, lost)])
    else:
        shown = np.array([trial])
    image = draw_grasps(
        obj,
        gripper,
        grasps.poses[shown],
        colours=outcome_colours(trials.success[shown]),
        opening=None if trial is None else trials.width[shown],
    )
    save_png(path, image)


def _outcome(trials: Outcomes, trial: int) -> str:
    return "holds" if trials.success[trial] else f"fails: {trials.failure[trial]}"


def _counts(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}
