"""`grasp sample`: grasps of an object from a grasp field."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from grasp.commands.options import MOST, GripperName, Scale, Unit, check_results
from pcdiff.console import Device, Json, Seed, Session, Threads
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.costs import Constraint
    from grasp.field.sampling import Sampling
    from grasp.formats import Grasps
    from grasp.grippers.gripper import Gripper
    from grasp.objects.object import Object

_METRES_BESIDE, _COSINE_BESIDE = 0.01, 0.1  # of a region and a cone, what costs half a nat
_SHOWN = 30  # grasps in a picture, at most


def sample(
    obj: Annotated[
        Path,
        typer.Argument(
            metavar="OBJECT",
            help="A mesh, a point cloud, or a depth image (.npz, or .png with a .json beside it).",
        ),
    ],
    gripper: GripperName = "panda",
    count: Annotated[int, typer.Option(min=1, max=MOST, help="Grasps at most.")] = 200,
    weights: Annotated[str, typer.Option(help="A name or a file.")] = "panda",
    scene: Annotated[
        Path | None, typer.Option(help="What stands around the object: a .yaml file.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="X,Y,Z,RADIUS: only grasps whose fingers meet in this ball, metres."),
    ] = None,
    approach: Annotated[
        str | None,
        typer.Option(help="X,Y,Z,DEGREES: only grasps that approach within a cone about X,Y,Z."),
    ] = None,
    thin: Annotated[
        bool, typer.Option("--thin", help="Of grasps within 1 cm and 15 degrees keep the best.")
    ] = False,
    least_probability: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Of success; less likely ones are not given."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=2, max=10_000, help="Of the sampler.")] = None,
    sampler: Annotated[
        Literal["multistep", "ddim", "langevin"],
        typer.Option(help="langevin: the reference, 48 levels from pure noise."),
    ] = "multistep",
    from_noise: Annotated[
        bool,
        typer.Option("--from-noise", help="Begin with pure noise, not at the surface: 12 steps."),
    ] = False,
    temperature: Annotated[
        float | None, typer.Option(help="1: the field as it is; less: where it is denser.")
    ] = None,
    oversampling: Annotated[
        float | None,
        typer.Option(min=1, max=100, help="Samples for each grasp; if few hold, 3 times as many."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Of a depth image: where the object is, .png or .npy.")
    ] = None,
    intrinsics: Annotated[
        Path | None, typer.Option(help="Of a depth image: .json with fx, fy, cx, cy.")
    ] = None,
    mass: Annotated[
        float | None,
        typer.Option(
            help="Of the object, kg. Default: of a closed mesh that at 150 kg/m³; of others none."
        ),
    ] = None,
    scale: Scale = None,
    unit: Unit = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the grasps: .json, .h5 or .yaml.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a PNG of object and grasps.")] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Sample grasps of an object, the likeliest to hold first.

    Each comes with its probability of success, energy, width, and whether the open hand is in
    collision. If no grasp is likely to hold, none is given, and the reason is.
    """
    from grasp.field.model import GraspField
    from grasp.formats import write_grasps
    from grasp.grippers.gripper import load_gripper
    from grasp.objects.loading import load_object
    from grasp.poses.distances import ROTATION, TRANSLATION
    from grasp.scenes.loading import load_scene
    from pcdiff.randomness import seeded

    session = Session("grasp sample", seed, device, threads, as_json)
    check_results(output, picture)
    hand = load_gripper(gripper)
    given: dict[str, Any] = {
        "steps": steps,
        "temperature": temperature,
        "oversampling": oversampling,
        "least_probability": least_probability,
        "apart": (TRANSLATION, ROTATION) if thin else None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    guidance = _constraints(region, approach, hand)
    surroundings = None if scene is None else load_scene(scene)
    loaded = load_object(
        obj, 1.0 if scale is None else scale, unit, mask=mask, intrinsics=intrinsics
    )
    how = dataclasses.replace(_sampling(loaded, sampler, from_noise), **given)
    field = GraspField.from_pretrained(weights).to(device).condition(loaded, hand, seed, mass)
    grasps = field.sample(count, seeded(seed), how, guidance, surroundings)
    grasps = dataclasses.replace(
        grasps,
        sampler={
            "weights": weights,
            "seed": seed,
            **how.as_dict(),
            "region": region,
            "approach": approach,
            "scene": None if scene is None else scene.name,
            "mass": mass,
        },
    )
    if output is not None:
        write_grasps(output, grasps)
    if picture is not None:
        _draw_probabilities(picture, loaded, hand, grasps)
    files = [str(path) for path in (output, picture) if path is not None]
    probability = grasps.success_probability
    assert probability is not None
    assert grasps.in_collision is not None
    results = {
        "grasps": len(grasps),
        "gripper": hand.name,
        "weights": weights,
        "success_probability": {
            "best": float(probability.max()) if len(grasps) else None,
            "mean": float(probability.mean()) if len(grasps) else None,
        },
        "in_collision": int(grasps.in_collision.sum()),
        "reason": grasps.reason,
        "files": files,
    }
    lines = [f"{len(grasps)} grasps of {loaded.name} for {hand.name}"]
    if len(grasps):
        lines[0] += (
            f", probability of success {probability.max():.2f} (best) to "
            f"{probability.min():.2f}, mean {probability.mean():.2f}; "
            f"{int(grasps.in_collision.sum())} in collision"
        )
    if grasps.reason is not None:
        lines.append(grasps.reason)
    session.finish(results, "\n".join([*lines, *files]))


def _sampling(obj: Object, sampler: str, from_noise: bool) -> Sampling:
    """How to sample an object by a sampler, before what else is given."""
    from grasp.field.sampling import OF_A_CLOUD, REFERENCE, sampling_of
    from pcdiff.diffusion.samplers import DDIM

    how = sampling_of(obj)
    if sampler == "langevin":
        return dataclasses.replace(
            how, begin=REFERENCE.begin, steps=REFERENCE.steps, sampler=REFERENCE.sampler
        )
    if sampler == "ddim":
        how = dataclasses.replace(how, sampler=DDIM())
    if from_noise:
        how = dataclasses.replace(how, begin=OF_A_CLOUD.begin, steps=OF_A_CLOUD.steps)
    return how


def _constraints(region: str | None, approach: str | None, gripper: Gripper) -> list[Constraint]:
    """What the options say that grasps must meet."""
    import math

    import numpy as np

    from grasp.costs import ApproachCone, NearPoint

    found: list[Constraint] = []
    if region is not None:
        *point, radius = _numbers("--region", region, "X,Y,Z,RADIUS")
        found.append(NearPoint(np.array(point), radius, gripper, sigma=_METRES_BESIDE))
    if approach is not None:
        *direction, degrees = _numbers("--approach", approach, "X,Y,Z,DEGREES")
        if not 0 <= degrees <= 180:
            raise InputError(f"--approach: a cone has 0 to 180 degrees, got {degrees:g}")
        found.append(ApproachCone(np.array(direction), math.radians(degrees), sigma=_COSINE_BESIDE))
    return found


def _numbers(option: str, text: str, form: str) -> list[float]:
    from grasp.objects.cleaning import MAXIMUM_COORDINATE

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"{option} must be {form}, got {text!r}") from error
    if len(numbers) != form.count(",") + 1:
        raise InputError(f"{option} must be {form}, got {text!r}")
    if not max(map(abs, numbers)) <= MAXIMUM_COORDINATE:  # nor is NaN
        raise InputError(
            f"{option}: expected numbers of at most {MAXIMUM_COORDINATE:g}, got {text!r}"
        )
    return numbers


def _draw_probabilities(path: Path, obj: Object, gripper: Gripper, grasps: Grasps) -> None:
    """Some grasps, from the likeliest to the least likely, coloured by probability."""
    import numpy as np

    from grasp.pictures import draw_grasps, probability_colours
    from pcdiff.drawing.png import save_png

    assert grasps.success_probability is not None
    shown = np.unique(np.linspace(0, max(0, len(grasps) - 1), _SHOWN).astype(int))
    shown = shown[: len(grasps)]
    colours = probability_colours(grasps.success_probability[shown])
    save_png(path, draw_grasps(obj, gripper, grasps.poses[shown], colours=colours))
