"""The command `grasp`: sample, simulate and judge grasps, and train grasp fields."""

from __future__ import annotations

from typing import Annotated

import typer

from grasp.commands.evaluate import evaluate
from grasp.commands.export import export
from grasp.commands.label import label
from grasp.commands.options import Command
from grasp.commands.sample import sample
from grasp.commands.simulate import simulate
from grasp.commands.train import train
from pcdiff import console

app = console.application(
    "Sample, simulate and judge grasps of parallel-jaw grippers, and train grasp fields."
)


def main() -> None:
    """Run the `grasp` command."""
    console.run(app)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"grasp {console.version()}")
        raise typer.Exit


for _command in (simulate, evaluate, sample, export, label, train):  # the order of --help
    app.command(cls=Command)(_command)


if __name__ == "__main__":
    main()
