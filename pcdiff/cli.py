"""`pcdiff`: train, sample, evaluate, reconstruct and interpolate point clouds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pcdiff import console
from pcdiff.console import Device, Json, Seed, Session, Threads
from pcdiff.errors import InputError
from pcdiff.files import prepare_folder
from pcdiff.learning.progress import (
    EmaDecay,
    InitializeFrom,
    LearningRate,
    OptimizerSteps,
    Resume,
    RunFolder,
    ValidateEvery,
    follow,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pcdiff.clouds.generator import PointCloudGenerator

app = console.application(
    "Generate 3D point clouds by diffusion, and train and judge the generator."
)

POINTS_IN_CACHE = 4096
"""Points whose activations in the reference network fit the caches of a usual CPU."""

SHOWN = 32
"""Clouds on a sheet, at most."""

CloudFile = Annotated[Path, typer.Argument(help="A cloud: .ply, .xyz or .npy.")]
CloudsFile = Annotated[Path, typer.Argument(help="Canonical HDF5: /{synset id}/{split}.")]
Category = Annotated[str, typer.Option(help="A name such as chair, or a synset id.")]
Weights = Annotated[str, typer.Option(help="Shipped weights by name, or a .safetensors file.")]
Output = Annotated[Path, typer.Option(help="Folder for the results; made if missing.")]
Points = Annotated[int, typer.Option(min=2, max=10**6, help="Points of each cloud.")]
Temperature = Annotated[
    float, typer.Option(min=0, max=10, help="Spread of the latent; below 1: typical shapes.")
]
Steps = Annotated[
    int, typer.Option(min=2, max=10**4, help="Evaluations of the network for each cloud.")
]
SamplerName = Annotated[
    Literal["multistep", "ddim", "ancestral"],
    typer.Option(help="Second-order DPM-Solver++(2M), DDIM, or DDPM's ancestral sampling."),
]
Form = Annotated[Literal["ply", "npy", "xyz"], typer.Option("--format", help="Of the clouds.")]


def main() -> None:
    """The entry point of the `pcdiff` command."""
    console.run(app)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"pcdiff {console.version()}")
        raise typer.Exit


@app.command()
def sample(
    weights: Weights = "chair",
    count: Annotated[int, typer.Option(min=1, max=10**6, help="How many clouds.")] = 8,
    points: Points = 2048,
    steps: Steps = 20,
    sampler: SamplerName = "multistep",
    temperature: Temperature = 1.0,
    output: Output = Path("out"),
    form: Form = "ply",
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Generate clouds.

    Writes a file a cloud and sheet.png, pictures of the first 32. Coordinates are box-normalised:
    the box of each shape is centred at 0 and its longest side is 2.
    """
    session = Session("pcdiff sample", seed, device, threads, as_json)
    generator = _load(weights, device)
    prepare_folder(output)
    generators = _generators(seed, count)
    clouds: list[Tensor] = []
    with console.progress("sampling", count) as advance:
        for part in _parts(count, 8):
            clouds += generator.sample(
                len(generators[part]), points, generators[part], steps, _sampler(sampler),
                temperature,
            ).cpu()  # fmt: skip
            advance(len(generators[part]))
    files = _write_clouds(output, "cloud", clouds, form)
    sheet = _write_sheet(output / "sheet.png", clouds)
    session.finish(
        {"weights": weights, "files": files, "picture": sheet},
        f"{count} clouds of {points} points are in {output}, drawn in {sheet}",
    )


@app.command()
def reconstruct(
    cloud: CloudFile,
    weights: Weights = "chair",
    points: Points = 2048,
    steps: Steps = 20,
    sampler: SamplerName = "multistep",
    output: Output = Path("out"),
    form: Form = "ply",
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Encode and decode a cloud.

    The result is in the cloud's own frame and unit.
    """
    from pcdiff.clouds.files import load_cloud
    from pcdiff.clouds.metrics.chamfer import chamfer_distance
    from pcdiff.clouds.scale import normalize_to_box

    session = Session("pcdiff reconstruct", seed, device, threads, as_json)
    original = load_cloud(cloud)[None]
    normalised, box = normalize_to_box(original)
    generator = _load(weights, device)
    prepare_folder(output)
    rebuilt = generator.reconstruct(
        normalised.to(device), points, _generators(seed, 1), steps, _sampler(sampler)
    ).cpu()
    distance = float(chamfer_distance(rebuilt, normalised)[0])
    clouds = box.invert(rebuilt)
    files = _write_clouds(output, cloud.stem + "-reconstructed", clouds, form)
    sheet = _write_sheet(output / "sheet.png", [original[0], clouds[0]], ["input", "output"])
    session.finish(
        {"weights": weights, "files": files, "picture": sheet, "chamfer": distance},
        f"{files[0]}: Chamfer distance to the input {distance:.4g} (box-normalised, squared); "
        f"picture: {sheet}",
    )


@app.command()
def interpolate(
    first: CloudFile,
    second: CloudFile,
    weights: Weights = "chair",
    count: Annotated[
        int, typer.Option(min=2, max=10**4, help="Clouds on the path, with both ends.")
    ] = 8,
    points: Points = 2048,
    steps: Steps = 20,
    sampler: SamplerName = "multistep",
    output: Output = Path("out"),
    form: Form = "ply",
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Generate shapes between two clouds.

    Coordinates are box-normalised; both ends are included.
    """
    from pcdiff.clouds.files import load_cloud
    from pcdiff.clouds.scale import normalize_to_box

    session = Session("pcdiff interpolate", seed, device, threads, as_json)
    ends = [normalize_to_box(load_cloud(file)[None])[0][0].to(device) for file in (first, second)]
    generator = _load(weights, device)
    prepare_folder(output)
    (random,) = _generators(seed, 1)
    clouds = generator.interpolate(
        ends[0], ends[1], count, points, random, steps, _sampler(sampler)
    ).cpu()
    files = _write_clouds(output, "between", clouds, form)
    sheet = _write_sheet(output / "sheet.png", clouds)
    session.finish(
        {"weights": weights, "files": files, "picture": sheet},
        f"{count} clouds from {first} to {second} are in {output}, drawn in {sheet}",
    )


@app.command()
def evaluate(
    clouds: CloudsFile,
    category: Category = "chair",
    weights: Weights = "chair",
    split: Annotated[str, typer.Option(help="The split to compare with.")] = "test",
    sets: Annotated[
        int, typer.Option(min=1, max=10**4, help="Generated sets, seeds seed, seed+1, …")
    ] = 10,
    floor_draws: Annotated[int, typer.Option(min=0, max=10**4, help="Random training sets.")] = 5,
    points: Points = 1024,
    emd: Annotated[bool, typer.Option(help="Also the earth mover's distance (slow).")] = True,
    steps: Steps = 20,
    sampler: SamplerName = "multistep",
    temperature: Temperature = 1.0,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Judge a generator by real shapes.

    Prints 1-NNA, coverage, MMD, JSD and memorisation beside the floor, which is what real
    training shapes score in place of generated ones. Definitions: squared
    Chamfer distance, both directions added; exact earth mover's distance on 512 points; 1024 points
    a cloud, box-normalised; as many generated as test shapes.
    """
    import torch

    from pcdiff.clouds.canonical import read_clouds
    from pcdiff.clouds.evaluation import evaluate as run

    session = Session("pcdiff evaluate", seed, device, threads, as_json)
    train, test = (read_clouds(clouds, category, name) for name in ("train", split))
    generator = _load(weights, device)

    def sample_set(set_seed: int) -> Tensor:
        generators = _generators(set_seed, len(test))
        return generator.sample(
            len(test), points, generators, steps, _sampler(sampler), temperature
        ).cpu()

    with console.progress("evaluating", 1000) as advance:
        shown = 0

        def show(fraction: float) -> None:
            nonlocal shown
            advance(round(1000 * fraction) - shown)
            shown = round(1000 * fraction)

        report = run(
            sample_set,
            train,
            test,
            category=category,
            split=split,
            sets=sets,
            seed=seed,
            points=points,
            distances=("cd", "emd") if emd else ("cd",),
            floor_draws=floor_draws,
            workers=torch.get_num_threads(),
            progress=show,
        )
    table = report.table()
    session.finish({"weights": weights, **report.as_dict(), "table": table}, table)


@app.command()
def train(
    clouds: CloudsFile,
    output: RunFolder,
    category: Category = "chair",
    prior: Annotated[
        Literal["flow", "gaussian", "none"] | None,
        typer.Option(help="Of the latent; none: auto-encoder.", show_default="flow"),
    ] = None,
    kl_weight: Annotated[
        float | None, typer.Option(min=0, help="Weight of the latent's KL.", show_default="1e-4")
    ] = None,
    schedule: Annotated[
        Literal["linear", "cosine"] | None, typer.Option(help="Noise.", show_default="cosine")
    ] = None,
    points: Annotated[int, typer.Option(min=2, help="Points of each cloud in a step.")] = 512,
    levels_per_cloud: Annotated[int, typer.Option(min=1, help="Noise levels a cloud.")] = 4,
    mirror: Annotated[
        Literal["none", "x", "y", "z"], typer.Option(help="Reflect half of the clouds along it.")
    ] = "none",
    steps: OptimizerSteps = 20_000,
    batch_size: Annotated[
        int, typer.Option(min=1, max=2**20, help="Clouds a step, all processes.")
    ] = 32,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Clouds that go through the networks together; 0: all.",
            show_default=f"on a CPU {POINTS_IN_CACHE} points, on a GPU all",
        ),
    ] = None,
    learning_rate: LearningRate = 1e-3,
    ema_decay: EmaDecay = 0.999,
    validate_every: ValidateEvery = 500,
    bfloat16: Annotated[bool, typer.Option(help="Networks in bfloat16.")] = True,
    compile_networks: Annotated[
        bool, typer.Option("--compile/--no-compile", help="torch.compile; needs a C++ compiler.")
    ] = False,
    resume: Resume = False,
    initialize_from: InitializeFrom = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Train a generator.

    Trains on the split train and validates on val. Writes last.safetensors (for --resume),
    best.safetensors (lowest validation loss), metrics.csv and curves.png. To use two processes:
    torchrun --nproc-per-node 2 -m pcdiff train ...
    """
    from pcdiff.clouds.configuration import GeneratorConfig, Standardization
    from pcdiff.clouds.generator import PointCloudGenerator
    from pcdiff.clouds.objective import CloudObjective
    from pcdiff.diffusion.schedules import SCHEDULES
    from pcdiff.learning import distributed
    from pcdiff.learning.trainer import TrainingConfig

    session = Session("pcdiff train", seed, device, threads, as_json)
    training, validation = (_box_normalised(clouds, category, split) for split in ("train", "val"))
    chosen = {"prior": prior, "kl_weight": kl_weight, "schedule": schedule}
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if initialize_from is None:
        if prior == "none" and kl_weight is not None:
            raise InputError("--kl-weight: an auto-encoder (--prior none) has no KL to weigh")
        if schedule is not None:
            given["schedule"] = SCHEDULES[schedule]()
        config = GeneratorConfig(standardization=Standardization.of(training), **given)
        model = PointCloudGenerator.initialized(config, seed)
    else:
        for name in given:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option}: the weights of --initialize-from decide this")
        model = PointCloudGenerator.from_pretrained(initialize_from).train().requires_grad_(True)
    objective = CloudObjective(
        model,
        training,
        validation,
        points,
        levels_per_cloud,
        mirror,
        source=f"{clouds.name}/{category}",
        initialized_from=initialize_from,
    )
    if micro_batch is None:
        micro_batch = max(1, POINTS_IN_CACHE // points) if device == "cpu" else 0
    settings = TrainingConfig(
        steps=steps,
        batch_size=batch_size,
        micro_batch=micro_batch,
        learning_rate=learning_rate,
        ema_decay=ema_decay,
        validate_every=validate_every,
        bfloat16=bfloat16,
        compile=compile_networks,
        seed=seed,
    )
    with distributed.processes(device):
        follow(session, objective, settings, output, resume)


def _load(weights: str, device: str) -> PointCloudGenerator:
    from pcdiff.clouds.generator import PointCloudGenerator

    return PointCloudGenerator.from_pretrained(weights).to(device)


def _box_normalised(path: Path, category: str, split: str) -> Tensor:
    from pcdiff.clouds.canonical import read_clouds
    from pcdiff.clouds.scale import normalize_to_box

    clouds = read_clouds(path, category, split)
    try:
        return normalize_to_box(clouds)[0]
    except InputError as error:
        raise InputError(f"{path}, {category}, {split}: {error}") from error


def _generators(seed: int, count: int) -> list[torch.Generator]:
    from pcdiff.randomness import seeded

    return [seeded(seed, index) for index in range(count)]


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(begin, begin + size) for begin in range(0, count, size))


def _sampler(name: str) -> Any:
    from pcdiff.diffusion.samplers import DDIM, Ancestral, Multistep

    return {"multistep": Multistep, "ddim": DDIM, "ancestral": Ancestral}[name]()


def _write_clouds(folder: Path, stem: str, clouds: Any, form: str) -> list[str]:
    from pcdiff.clouds.files import save_cloud

    files = [folder / f"{stem}-{index:03d}.{form}" for index in range(len(clouds))]
    for file, cloud in zip(files, clouds, strict=True):
        save_cloud(file, cloud)
    return [str(file) for file in files]


def _write_sheet(path: Path, clouds: Any, labels: list[str] | None = None) -> str:
    from pcdiff.drawing.png import save_png
    from pcdiff.drawing.sheets import draw_clouds

    shown = [cloud.numpy() for cloud in clouds[:SHOWN]]
    save_png(path, draw_clouds(shown, labels=labels))
    return str(path)


if __name__ == "__main__":
    main()
