"""The `pcdiff` command, which generates point clouds and trains and evaluates the generator."""

from __future__ import annotations

from typing import Annotated

import typer

from pcdiff import console
from pcdiff.commands.convert import convert
from pcdiff.commands.encode import encode
from pcdiff.commands.evaluate import evaluate
from pcdiff.commands.interpolate import interpolate
from pcdiff.commands.reconstruct import reconstruct
from pcdiff.commands.sample import sample
from pcdiff.commands.train import train

app = console.application(
    "Generate 3D point clouds by diffusion, and train and evaluate the generator."
)


def main() -> None:
    """Run the `pcdiff` command."""
    console.run(app)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"pcdiff {console.version()}")
        raise typer.Exit


_COMMANDS = (sample, reconstruct, interpolate, evaluate, encode, convert, train)
"""The commands in the order of `--help`."""

for _command in _COMMANDS:
    app.command()(_command)


if __name__ == "__main__":
    main()
