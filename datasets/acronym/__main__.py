"""The program `python -m datasets.acronym`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from datasets.acronym.card import total
from datasets.acronym.files import grasp_files
from datasets.acronym.preparation import prepare
from datasets.conversion import separate
from pcdiff.console import Json, Session, application, progress, run

app = application("Prepare ACRONYM and ShapeNetSem as objects with labelled grasps.")


@app.command("acronym")
def main(
    grasps: Annotated[
        Path, typer.Option(help="Folder of the ACRONYM files Category_hash_scale.h5.")
    ],
    meshes: Annotated[
        Path,
        typer.Option(
            help="Folder of the meshes: ShapeNetSem's models-OBJ/models, or a folder that contains "
            "meshes/Category/HASH.obj."
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="Folder to write; a later run continues an unfinished set.")
    ],
    categories: Annotated[
        str | None,
        typer.Option(
            help="Names of categories, separated by commas: Mug,Bowl. Default: all categories."
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Largest number of objects, in the order of their names. Default: all objects.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Prepare ACRONYM and ShapeNetSem, without making the meshes watertight.

    Writes meshes in metres, grasps with ACRONYM's labels, a catalogue and a data card. Objects that
    are already in the folder stay unchanged. Objects that cannot be used are reported and skipped.
    ACRONYM is not for commercial use.
    """
    session = Session("datasets.acronym", seed=0, as_json=as_json)
    files = grasp_files(grasps, separate(categories))
    with progress("objects", len(files) if count is None else min(count, len(files))) as advance:
        done = prepare(files, meshes, output, count, advance)
    for sentence in done.skipped:
        typer.echo(f"skipped: {sentence}", err=True)
    if done.skipped:
        typer.echo(f"skipped {len(done.skipped)} objects in total", err=True)
    results: dict[str, Any] = {
        "output": str(output),
        "made": done.made,
        "kept": done.kept,
        "skipped": list(done.skipped),
        "objects": len(done.entries),
        "grasps": total(done.entries, "grasps"),
        "successes": total(done.entries, "successes"),
        "families": dict(Counter(entry.family for entry in done.entries)),
    }
    text = (
        f"prepared {done.made} objects and kept {done.kept} earlier objects; {output} contains "
        f"{len(done.entries)} objects with {results['grasps']} grasps, and "
        f"{results['successes']} grasps are successful; not for commercial use, see the data card"
    )
    session.finish(results, text)


if __name__ == "__main__":
    run(app)
