"""The command `grasp sample`: sample grasps of an object from a grasp field."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from grasp.commands.options import (
    MOST,
    OPTIONS,
    SEVERAL_NUMBERS,
    GripperName,
    ObjectNames,
    Piece,
    Scale,
    Unit,
    check_results,
    name_options,
)
from pcdiff import console
from pcdiff.console import Device, Json, Seed, Session, Threads
from pcdiff.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from grasp.formats import Grasps
    from grasp.grippers.gripper import Gripper
    from grasp.objects.object import Object

Four = tuple[float, float, float, float]


@name_options
def sample(
    obj: Annotated[
        Path,
        typer.Argument(
            metavar="OBJECT",
            help="A mesh, a point cloud, or a depth image (.npz, or .png, .tif or .npy with a "
            ".json or .yaml beside it).",
        ),
    ],
    gripper: GripperName = "panda",
    count: Annotated[int, typer.Option(min=1, max=MOST, help="Largest number of grasps.")] = 200,
    weights: Annotated[str, typer.Option(help="Weights: a shipped name, or a file.")] = "panda",
    scene: Annotated[
        Path | None,
        typer.Option(
            help="Surroundings of the object: a .yaml file with any of table, boxes, meshes, "
            "clouds and object, such as table: {position: [0, 0, -0.05]}, in metres."
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z,RADIUS",
            help="Return only grasps with the point between the fingertips inside this ball, in "
            "metres in the frame of the object's file.",
        ),
    ] = None,
    approach: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z,DEGREES",
            help="Return only grasps whose approach direction is within DEGREES of the direction "
            "X,Y,Z.",
        ),
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,Z,RADIUS",
            help="Return no grasps with the point between the fingertips inside this ball; may be "
            "repeated. Spaces may also separate the numbers of an option.",
        ),
    ] = None,
    thin: Annotated[
        bool,
        typer.Option(
            "--thin", help="Omit every grasp within 1 cm and 15 degrees of a better grasp."
        ),
    ] = False,
    least_probability: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Smallest probability of success of a returned grasp."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=2, max=10_000, help="Number of sampling steps.")
    ] = None,
    sampler: Annotated[
        Literal["multistep", "ddim", "langevin"],
        typer.Option(help="Sampler; langevin is a slow reference (48 noise levels)."),
    ] = "multistep",
    from_noise: Annotated[
        bool,
        typer.Option(
            "--from-noise", help="Start from pure noise instead of grasps at the surface."
        ),
    ] = False,
    temperature: Annotated[
        float | None,
        typer.Option(help="Sampling temperature; values below 1 favour the most probable poses."),
    ] = None,
    oversampling: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=100,
            help="Number of samples per requested grasp. While too few samples are free of "
            "collisions, up to 3 times this number is drawn.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Mask of the object in a depth image: a .png, .tif or .npy file."),
    ] = None,
    mask_id: Annotated[
        int | None,
        typer.Option(min=1, help="Value of the object's pixels in a mask of several objects."),
    ] = None,
    intrinsics: Annotated[
        Path | None,
        typer.Option(
            help="Camera of a depth image: a .json or .yaml file with fx, fy, cx, cy, or with K, "
            "as ROS, RealSense, Open3D and BOP write it; or the 9 numbers of K, also in a .txt or "
            ".npy file."
        ),
    ] = None,
    viewpoint: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z",
            help="Position of the camera that saw all points of a cloud, in the frame and unit of "
            "the file.",
        ),
    ] = None,
    camera_pose: Annotated[
        str | None,
        typer.Option(
            help="Pose of the camera in the robot's base frame (4 x 4, in metres): a .npy, .txt, "
            ".json or .yaml file, or 16 numbers. The grasps are then in the base frame."
        ),
    ] = None,
    object_name: ObjectNames = None,
    piece: Piece = None,
    remove_table: Annotated[
        bool,
        typer.Option(
            "--remove-table",
            help="Remove the largest flat surface from a scan. Grasps avoid it only if --scene "
            "contains it, for example as a table or as the scan itself.",
        ),
    ] = False,
    mass: Annotated[
        float | None,
        typer.Option(
            help="Mass of the object in kg. Default: 300 kg/m³ times the volume of a mesh; the "
            "weight of an object of unknown volume is ignored."
        ),
    ] = None,
    scale: Scale = None,
    unit: Unit = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write the grasps to this file: .json (all properties of the grasps), .h5 "
            "(as ACRONYM), .yaml (as the Isaac tools and GraspGen), .csv (positions and "
            "quaternions), .npy (as GraspNet-1Billion) or .npz (as Contact-GraspNet)."
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the object with its grasps into this .png file.")
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Sample grasps of an object, sorted by probability of success.

    Each grasp is returned with its probability of success, its energy, the opening of the hand, and
    whether the open hand is in collision. If no grasp has a sufficient probability of success, no
    grasps are returned, and the reason is stated with the options that would help. Poses are in
    metres in the frame of the object's file. The energy has no unit, and only energies of one
    object can be compared.
    """
    import numpy as np

    from grasp.field.request import Request, sample_grasps
    from grasp.field.trained import weights_file
    from grasp.formats import write_grasps
    from grasp.grippers.gripper import load_gripper
    from grasp.objects.loading import load_object
    from grasp.objects.pieces import Which
    from grasp.pictures import draw_ranked
    from grasp.scenes.loading import load_scene
    from pcdiff.drawing.png import save_png

    session = Session("grasp sample", seed, device, threads, as_json)
    check_results(output, picture)
    hand = load_gripper(gripper)
    weights_file(weights)
    ball = None if region is None else _four("--region", region, "X,Y,Z,RADIUS")
    cone = None if approach is None else _four("--approach", approach, "X,Y,Z,DEGREES")
    avoided = [_four("--avoid", text, "X,Y,Z,RADIUS") for text in avoid or ()]
    seen_from = None if viewpoint is None else _numbers("--viewpoint", viewpoint, "X,Y,Z")
    surroundings = None if scene is None else load_scene(scene)
    loaded = load_object(
        obj,
        1.0 if scale is None else scale,
        unit,
        mask=mask,
        intrinsics=intrinsics,
        viewpoint=None if seen_from is None else np.array(seen_from),
        camera_pose=_camera_pose(camera_pose),
        which=Which(piece, mask_id, tuple(object_name or ()), remove_table),
    )
    remarks = (*loaded.remarks, *(() if surroundings is None else surroundings.remarks))
    for remark in remarks:
        session.note(remark)
    request = Request(
        count=count,
        weights=weights,
        gripper=hand,
        sampler=sampler,
        from_noise=from_noise,
        steps=steps,
        temperature=temperature,
        oversampling=oversampling,
        least_probability=least_probability,
        thin=thin,
        region=ball,
        approach=cone,
        avoid=avoided,
        scene=surroundings,
        mass=mass,
        seed=seed,
        device=device,
    )
    with console.progress("sampling", None, after=2.0) as advance:
        done = 0

        def progress(now: int, total: int) -> None:
            nonlocal done
            advance(now - done, total=total)
            done = now

        grasps = sample_grasps(loaded, request, progress)
    record = {**(grasps.sampler or {}), "scene": None if scene is None else scene.name}
    grasps = dataclasses.replace(grasps, sampler=record)
    if output is not None:
        write_grasps(output, grasps, gripper=hand)
    if picture is not None:
        assert grasps.success_probability is not None
        image = draw_ranked(
            loaded, hand, grasps.poses, grasps.success_probability, scene=surroundings
        )
        save_png(picture, image)
    files = [str(path) for path in (output, picture) if path is not None]
    results, text = _summary(loaded, hand, grasps)
    results |= {"remarks": list(remarks), "weights": weights, "files": files}
    session.finish(results, "\n".join([*text, *files]))


def _summary(obj: Object, hand: Gripper, grasps: Grasps) -> tuple[dict[str, Any], list[str]]:
    """Return the results as a dictionary for JSON and as human-readable lines."""
    from grasp.objects.object import FILE_FRAME

    probability, collides = grasps.success_probability, grasps.in_collision
    assert probability is not None
    assert collides is not None
    protocol = (grasps.sampler or {}).get("probability_protocol")
    options = [OPTIONS[name] for name in grasps.remedies if name in OPTIONS]
    results = {
        "grasps": len(grasps),
        "gripper": hand.name,
        "success_probability": {
            "best": float(probability.max()) if len(grasps) else None,
            "mean": float(probability.mean()) if len(grasps) else None,
        },
        "success_probability_protocol": protocol,
        "in_collision": int(collides.sum()),
        "reason": grasps.reason,
        "frame": grasps.frame,
        "remedies": options,
    }
    text = [f"{len(grasps)} grasps of {obj.name} for {hand.name}"]
    if len(grasps):
        text[0] += (
            f", probability of success under protocol {protocol} {probability.max():.2f} (best) "
            f"to {probability.min():.2f}, mean {probability.mean():.2f}; "
            f"{int(collides.sum())} in collision"
        )
    if grasps.frame != FILE_FRAME:
        text[0] += f"; poses in the frame of the {grasps.frame}"
    if grasps.reason is not None:
        text.append(f"{grasps.reason} ({', '.join(options)})" if options else grasps.reason)
    return results, text


def _camera_pose(given: str | None) -> Path | np.ndarray | None:
    """Return the camera pose that an option states: the numbers, or the path of a file."""
    import numpy as np

    from grasp.objects.cameras import checked_pose

    if given is None:
        return None
    try:
        numbers = np.array([float(word) for word in given.replace(",", " ").split()])
    except ValueError:
        return Path(given)
    return checked_pose(numbers, "the camera pose")


def _four(option: str, text: str, form: str) -> Four:
    x, y, z, size = _numbers(option, text, form)
    return x, y, z, size


def _numbers(option: str, text: str, form: str) -> tuple[float, ...]:
    """Parse the numbers of an option; `form` names them in the order in which they are stated."""
    from grasp.objects.cleaning import MAXIMUM_COORDINATE

    count = SEVERAL_NUMBERS[option]
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        words = {3: "three", 4: "four"}[count]
        raise InputError(f"{option} must be {words} numbers {form}, got {text!r}")
    if not max(map(abs, numbers)) <= MAXIMUM_COORDINATE:  # false for NaN, too
        raise InputError(
            f"the numbers of {option} must be at most {MAXIMUM_COORDINATE:g}, got {text!r}"
        )
    return numbers
