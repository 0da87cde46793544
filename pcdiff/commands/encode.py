"""`pcdiff encode`: write the latent codes of clouds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcdiff import console
from pcdiff.commands.options import Weights
from pcdiff.console import Device, Json, Seed, Session, Threads


@console.name_options(category="--category")
def encode(
    clouds: Annotated[
        list[Path],
        typer.Argument(
            metavar="CLOUDS...",
            help="Cloud files, folders of cloud files, .npy arrays of shape (shapes, points, 3), "
            "or canonical HDF5 files.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            help="File for the codes: .npz (arrays names and latents), or .npy with the latents "
            "alone; the names are then in NAME.names.txt beside it."
        ),
    ] = Path("codes.npz"),
    weights: Weights = "chair",
    category: Annotated[
        str | None,
        typer.Option(help="Category in canonical HDF5 files.", show_default="the only one"),
    ] = None,
    split: Annotated[str, typer.Option(help="Split in canonical HDF5 files.")] = "test",
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Write the latent codes of clouds.

    Each cloud is box-normalised and encoded with all of its points; its code is the mean of the
    encoder's distribution. Nothing is random.
    """
    from pcdiff.clouds.codes import check_code_path, encode_clouds, write_codes
    from pcdiff.clouds.collections import load_clouds
    from pcdiff.clouds.generator import PointCloudGenerator

    session = Session("pcdiff encode", seed, device, threads, as_json)
    check_code_path(output)
    console.check_file(output)
    generator = PointCloudGenerator.from_pretrained(weights).to(device)
    named = load_clouds(clouds, category, split)
    for remark in named.remarks:
        session.note(remark)
    with console.progress("encoding", len(named)) as advance:
        codes = encode_clouds(generator, named, advance)
    files = [str(file) for file in write_codes(output, codes)]
    shape = list(codes.latents.shape)
    count = f"{len(named)} cloud{'s' if len(named) > 1 else ''}"
    session.finish(
        {
            "weights": weights,
            "names": list(codes.names),
            "shape": shape,
            "files": files,
            "remarks": list(named.remarks),
        },
        "\n".join([f"the codes of {count}, {shape[1]} numbers per cloud", *files]),
    )
