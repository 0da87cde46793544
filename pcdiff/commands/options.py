"""Options of several `pcdiff` commands; `pcdiff.console` has the options of all commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

CloudFile = Annotated[
    Path,
    typer.Argument(
        help="File of one point cloud: .ply, .pcd, .npy, or text (.xyz, .txt, .pts, .csv, .asc)."
    ),
]
CloudsFile = Annotated[
    Path, typer.Argument(help="Canonical HDF5 file, with datasets /{synset id}/{split}.")
]
Category = Annotated[str, typer.Option(help="Category: a name such as chair, or a synset id.")]
Weights = Annotated[
    str, typer.Option(help="Name of weights that come with pcdiff, or path of a .safetensors file.")
]
Output = Annotated[Path, typer.Option(help="Folder for the results; created if missing.")]
Points = Annotated[int, typer.Option(min=2, max=10**6, help="Number of points per cloud.")]
Temperature = Annotated[
    float,
    typer.Option(
        min=0,
        max=10,
        help="Spread of the latent. Values below 1 give more typical shapes and less variety.",
    ),
]
Steps = Annotated[
    int, typer.Option(min=2, max=10**4, help="Number of network evaluations per cloud.")
]
SamplerName = Annotated[
    Literal["multistep", "ddim", "ancestral"],
    typer.Option(help="Sampler: DPM-Solver++(2M), DDIM, or DDPM's ancestral sampling."),
]
Form = Annotated[
    Literal["ply", "npy", "xyz"], typer.Option("--format", help="Format of the written clouds.")
]
