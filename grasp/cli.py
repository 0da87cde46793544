"""`grasp`: put grasps through physics, and judge what makes them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pcdiff import console
from pcdiff.console import Json, Seed, Session
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.costs import Constraint
    from grasp.evaluation import Outcomes, Simulator
    from grasp.formats import Grasps
    from grasp.gripper import Gripper
    from grasp.objects import Object
    from pcdiff.diffusion.samplers import Sampler

_MOST = 10**6  # grasps of an object
_METRES_BESIDE, _COSINE_BESIDE = 0.01, 0.1  # of a region and a cone, what costs half a nat
_SHOWN = 15  # trials of either outcome in a picture of many, at most

app = console.application("Sample, simulate and judge grasps of parallel-jaw grippers.")

ObjectFile = Annotated[Path, typer.Argument(help="A mesh: .obj, .stl, .ply, .off, .glb or .dae.")]
Scale = Annotated[float | None, typer.Option(help="Multiplies the mesh file's numbers.")]
Unit = Annotated[
    Literal["m", "cm", "mm", "inch"] | None, typer.Option(help="Of the mesh file's numbers.")
]
Mass = Annotated[
    float | None, typer.Option(help="Of the object, kg; by its volume if nothing says it.")
]
Friction = Annotated[float | None, typer.Option(help="Coefficient of object and pads.")]
Frame = Annotated[
    str | None, typer.Option(help="Of the poses, if their file does not say: e.g. panda_hand.")
]
GraspUnit = Annotated[
    str | None, typer.Option(help="Of the poses, if their file does not say: e.g. m.")
]
Device = Annotated[str, typer.Option(help="Where to compute; physics runs on the cpu alone.")]
Workers = Annotated[
    int, typer.Option("--threads", "--workers", min=0, help="Processes; 0: one a CPU core.")
]


def main() -> None:
    """The entry point of the `grasp` command."""
    console.run(app)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"grasp {console.version()}")
        raise typer.Exit


@app.command()
def simulate(
    mesh: Annotated[Path, typer.Argument(metavar="OBJECT", help="A mesh, as the grasps are of.")],
    grasps: Annotated[Path, typer.Argument(help="Grasps: .json, .h5, .hdf5, .yaml or .yml.")],
    gripper: Annotated[
        str | None, typer.Option(help="A name or a .toml file; by default the grasp file's.")
    ] = None,
    mass: Mass = None,
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
    device: Device = "cpu",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Put grasps through physics.

    The free hand closes with a fixed force, then the object is shaken; a grasp in collision is a
    failure. Prints how many hold with Wilson's 95 % interval. Mass, friction and scale are those of
    the grasp file unless given. The physics draws nothing, so the seed changes nothing.
    """
    from grasp.formats import read_grasps, write_grasps
    from grasp.gripper import load_gripper
    from grasp.metrics import success_rate
    from grasp.objects import load_object
    from grasp.sources import check_grasp_file

    session = _session("grasp simulate", seed, device, as_json)
    if trial is not None and picture is None:
        raise InputError("--trial says what --picture shows, so it needs that")
    if output is not None:
        check_grasp_file(output)
        console.check_file(output)
    if picture is not None:
        _check_picture(picture)
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
    _mesh_only(obj)
    if read.object_sha256 not in (None, obj.sha256):
        typer.echo(f"warning: {grasps} is of another geometry than {mesh}", err=True)
    with (
        console.progress("simulating", len(read)) as advance,
        _physics(
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


@app.command()
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
    gripper: Annotated[str, typer.Option(help="A name or a .toml file.")] = "panda",
    samples: Annotated[
        int, typer.Option(min=1, max=_MOST, help="Grasps an object from the source.")
    ] = 1000,
    candidates: Annotated[
        int,
        typer.Option(
            min=1, max=_MOST, help="Antipodal candidates an object; 2000 define what fits."
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
    device: Device = "cpu",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Judge a source of grasps by physics.

    Prints for each object, and for all objects that fit the gripper with intervals over objects:
    success of all grasps and of the 20 best ranked, coverage of the antipodal candidates that hold,
    precision against coverage, and earth mover's distance to them. Every grasp counts; one in
    collision is a failure.
    """
    from grasp.evaluation import evaluate as run
    from grasp.gripper import load_gripper
    from grasp.objects import load_object
    from grasp.simulation import PROTOCOL
    from grasp.sources import ANTIPODAL, field_source, kept_labels, named_source

    session = _session("grasp evaluate", seed, device, as_json)
    if labels is not None:
        console.check_folder(labels)
    hand = load_gripper(gripper)
    loaded = [load_object(path, 1.0 if scale is None else scale, unit) for path in objects]
    for obj in loaded:
        _mesh_only(obj)
    if view and weights is None:
        raise InputError("--view is what a field sees, so it needs --weights")
    if weights is None:
        source = source or ANTIPODAL
        grasps = named_source(source, loaded, hand, frame=frame, unit=grasp_unit)
    else:
        if source is not None:
            raise InputError("--source and --weights are two sources: give one of them")
        source = f"field {weights}" + (" from one view" if view else "")
        grasps = field_source(weights, hand, view=view)
    friction = PROTOCOL.friction if friction is None else friction
    density = PROTOCOL.density if density is None else density
    physics = {"protocol": PROTOCOL.version, "friction": friction, "density": density}
    with (
        console.progress("evaluating", len(loaded) * (samples + candidates)) as advance,
        _physics(workers, advance, density=density, friction=friction) as simulator,
    ):
        report = run(
            grasps,
            loaded,
            hand,
            simulator,
            name=source,
            samples=samples,
            candidates=candidates,
            seed=seed,
            physics={"density": density},
            labels=None
            if labels is None
            else kept_labels(labels, hand, simulator, count=candidates, seed=seed, physics=physics),
        )
    session.finish({**report.as_dict(), "table": report.table()}, report.table())


@app.command()
def sample(
    obj: Annotated[
        Path,
        typer.Argument(
            metavar="OBJECT",
            help="A mesh, a point cloud, or a depth image (.npz, or .png with a .json beside it).",
        ),
    ],
    gripper: Annotated[str, typer.Option(help="A name or a .toml file.")] = "panda",
    count: Annotated[int, typer.Option(min=1, max=_MOST, help="Grasps at most.")] = 200,
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
        Literal["multistep", "ddim", "langevin"], typer.Option(help="Langevin is the reference.")
    ] = "multistep",
    from_noise: Annotated[
        bool, typer.Option("--from-noise", help="Begin with pure noise, not at the surface.")
    ] = False,
    temperature: Annotated[
        float | None, typer.Option(help="1: the field's own distribution; less: its likelier part.")
    ] = None,
    oversampling: Annotated[
        float | None, typer.Option(min=1, max=100, help="Samples drawn for each grasp.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Of a depth image: where the object is, .png or .npy.")
    ] = None,
    intrinsics: Annotated[
        Path | None, typer.Option(help="Of a depth image: .json with fx, fy, cx, cy.")
    ] = None,
    scale: Scale = None,
    unit: Unit = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the grasps: .json, .h5 or .yaml.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a PNG of object and grasps.")] = None,
    seed: Seed = 0,
    device: console.Device = "cpu",
    threads: console.Threads = 0,
    as_json: Json = False,
) -> None:
    """Sample grasps of an object, the likeliest to hold first.

    Each comes with its probability of success, energy, width, and whether the open hand is in
    collision. If no grasp is likely to hold, none is given, and the reason is.
    """
    from grasp.conditioned import Sampling
    from grasp.field import GraspField
    from grasp.formats import write_grasps
    from grasp.gripper import load_gripper
    from grasp.metrics import ROTATION, TRANSLATION
    from grasp.objects import load_object
    from grasp.scene import load_scene
    from grasp.sources import check_grasp_file
    from pcdiff.randomness import seeded

    session = Session("grasp sample", seed, device, threads, as_json)
    if output is not None:
        check_grasp_file(output)
        console.check_file(output)
    if picture is not None:
        _check_picture(picture)
    hand = load_gripper(gripper)
    given: dict[str, Any] = {
        "steps": steps,
        "temperature": temperature,
        "oversampling": oversampling,
        "least_probability": least_probability,
        "apart": (TRANSLATION, ROTATION) if thin else None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if from_noise:
        given["begin"] = None
    how = Sampling(sampler=_sampler(sampler), **given)
    guidance = _constraint(region, approach, hand)
    surroundings = None if scene is None else load_scene(scene)
    loaded = load_object(
        obj, 1.0 if scale is None else scale, unit, mask=mask, intrinsics=intrinsics
    )
    field = GraspField.from_pretrained(weights).to(device).condition(loaded, hand, seed)
    grasps = field.sample(count, seeded(seed), how, guidance, surroundings)
    grasps = dataclasses.replace(
        grasps, sampler={"weights": weights, "seed": seed, **how.as_dict()}
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
            "best": float(probability[0]) if len(grasps) else None,
            "mean": float(probability.mean()) if len(grasps) else None,
        },
        "in_collision": int(grasps.in_collision.sum()),
        "reason": grasps.reason,
        "files": files,
    }
    lines = [f"{len(grasps)} grasps of {loaded.name} for {hand.name}"]
    if len(grasps):
        lines[0] += (
            f", probability of success {probability[0]:.2f} (best) to {probability[-1]:.2f}, mean "
            f"{probability.mean():.2f}; {int(grasps.in_collision.sum())} in collision"
        )
    if grasps.reason is not None:
        lines.append(grasps.reason)
    session.finish(results, "\n".join([*lines, *files]))


@app.command()
def train(
    labels: Annotated[
        list[Path],
        typer.Argument(metavar="GRASPS_DIR...", help="Folders that datasets.labels wrote."),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the run.")],
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
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 20_000,
    batch_size: Annotated[
        int, typer.Option(min=1, max=2**20, help="Objects a step, all processes.")
    ] = 24,
    learning_rate: Annotated[float, typer.Option(help="Adam's, at its height.")] = 1e-3,
    ema_decay: Annotated[
        float, typer.Option(min=0, max=1, help="Of the averaged weights.")
    ] = 0.999,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps; also a checkpoint.")] = 500,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --output.")] = False,
    initialize_from: Annotated[
        str | None, typer.Option(help="Begin from these weights: a name or a file.")
    ] = None,
    seed: Seed = 0,
    device: console.Device = "cpu",
    threads: console.Threads = 0,
    as_json: Json = False,
) -> None:
    """Train a grasp field.

    On labelled grasps of any objects and grippers, e.g. a user's own. Writes last.safetensors (for
    --resume), best.safetensors (lowest validation loss), metrics.csv and curves.png. To use two
    processes: torchrun --nproc-per-node 2 -m grasp train ...
    """
    from grasp.field import DEFAULT, PAPER, FieldConfig, GraspField
    from grasp.field_objective import NETWORKS, FieldObjective
    from grasp.items import DISTANCES, FEWEST, count_objects, grippers_in, read_items, split
    from grasp.prepared import Recipe
    from grasp.simulation import cores, processes
    from pcdiff import distributed
    from pcdiff.training import TrainingConfig
    from pcdiff.training_command import follow

    session = Session("grasp train", seed, device, threads, as_json)
    hands = {folder: grippers_in(folder, gripper or []) for folder in labels}
    objects = sum(count_objects(folder, hands[folder]) for folder in labels)
    recipe = Recipe(seed, distances=DISTANCES if architecture == PAPER else 0)
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
        if networks != "success" and not any(item.has_grasps for item in training):
            raise InputError(
                f"no object to train on has {FEWEST} grasps that hold, from which the energy learns"
            )
        fresh = initialize_from is None
        if architecture is not None and not fresh:
            raise InputError("--architecture: the weights of --initialize-from decide this")
        model = (
            GraspField.initialized(FieldConfig(architecture or DEFAULT), seed)
            if initialize_from is None
            else GraspField.from_pretrained(initialize_from).train().requires_grad_(True)
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
        settings = TrainingConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            ema_decay=ema_decay,
            bfloat16=False,
            validate_every=validate_every,
            seed=seed,
        )
        follow(session, objective, settings, output, resume)


def _check_picture(path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise InputError(f"a picture is written to a file that ends in .png, got {path}")
    console.check_file(path)


def _sampler(name: str) -> Sampler:
    from pcdiff.diffusion.samplers import DDIM, AnnealedLangevin, Multistep

    return {"multistep": Multistep, "ddim": DDIM, "langevin": AnnealedLangevin}[name]()


def _constraint(region: str | None, approach: str | None, gripper: Gripper) -> Constraint | None:
    """What the options say that grasps must meet."""
    import math

    import numpy as np

    from grasp.costs import ApproachCone, Both, NearPoint

    found: list[Constraint] = []
    if region is not None:
        *point, radius = _numbers("--region", region, "X,Y,Z,RADIUS")
        found.append(
            NearPoint(np.array(point), radius, gripper.tool_center_point, sigma=_METRES_BESIDE)
        )
    if approach is not None:
        *direction, degrees = _numbers("--approach", approach, "X,Y,Z,DEGREES")
        found.append(ApproachCone(np.array(direction), math.radians(degrees), sigma=_COSINE_BESIDE))
    if len(found) == 2:
        return Both(*found)
    return found[0] if found else None


def _numbers(option: str, text: str, form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"{option} must be {form}, got {text!r}") from error
    if len(numbers) != form.count(",") + 1:
        raise InputError(f"{option} must be {form}, got {text!r}")
    return numbers


def _session(command: str, seed: int, device: str, as_json: bool) -> Session:
    if device != "cpu":
        raise InputError(f"physics runs on the CPU, so --device must be cpu, got {device}")
    return Session(command, seed, device, as_json=as_json)


def _scaling(scale: float | None, unit: str | None, stated: float) -> tuple[float, str | None]:
    """The scale and unit given; else what the grasp file states, which turns all into metres."""
    if scale is None and unit is None and stated != 1:
        return stated, "m"
    return (1.0 if scale is None else scale), unit


def _mesh_only(obj: Object) -> None:
    if not obj.is_mesh:
        raise InputError(f"{obj.file} is a point cloud, but physics needs a mesh")


@contextlib.contextmanager
def _physics(
    workers: int,
    progress: Callable[..., None],
    *,
    mass: float | None = None,
    density: float | None = None,
    friction: float | None = None,
) -> Iterator[Simulator]:
    """The simulator, and processes for it that live as long as this context."""
    from grasp.simulation import cores, processes, simulate

    with processes(workers or cores()) as pool:
        yield functools.partial(
            simulate, mass=mass, density=density, friction=friction, pool=pool, progress=progress
        )


def _labelled(grasps: Grasps, trials: Outcomes, obj: Object, gripper: Gripper) -> Grasps:
    from grasp.evaluation import with_outcomes

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
    from pcdiff.pictures import save_png

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


def _draw_probabilities(path: Path, obj: Object, gripper: Gripper, grasps: Grasps) -> None:
    """Some grasps, from the likeliest to the least likely, coloured by probability."""
    import numpy as np

    from grasp.pictures import draw_grasps, probability_colours
    from pcdiff.pictures import save_png

    assert grasps.success_probability is not None
    shown = np.unique(np.linspace(0, max(0, len(grasps) - 1), 2 * _SHOWN).astype(int))
    shown = shown[: len(grasps)]
    colours = probability_colours(grasps.success_probability[shown])
    save_png(path, draw_grasps(obj, gripper, grasps.poses[shown], colours=colours))


def _outcome(trials: Outcomes, trial: int) -> str:
    return "holds" if trials.success[trial] else f"fails: {trials.failure[trial]}"


def _counts(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}


if __name__ == "__main__":
    main()
