"""The program `python -m datasets.frozen --meshes FOLDER --output sets [NAME…]`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from datasets.frozen.folder import SetFolder
from datasets.frozen.sets import RECIPES, Materials
from datasets.frozen.sheet import write_sheet
from datasets.frozen.splits import SPLITS, read_splits, scanned_files, write_digests
from pcdiff.console import Json, Session, application, progress, run
from pcdiff.errors import InputError

app = application("Make the frozen benchmark sets.")


@app.command()
def frozen(
    output: Annotated[Path, typer.Option(help="Folder to write; each set gets a subfolder.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help=f"Sets to make: {', '.join(RECIPES)}. Default: all sets; without --meshes, the "
            "sets that contain no scanned meshes.",
        ),
    ] = None,
    meshes: Annotated[
        Path | None, typer.Option(help="Folder of the scanned meshes (.stl, in metres).")
    ] = None,
    splits: Annotated[
        Path, typer.Option(help="File with the settings and digests of the sets.")
    ] = SPLITS,
    freeze: Annotated[
        bool,
        typer.Option(
            "--freeze",
            help="Write the digests of the sets into the file of --splits instead of comparing "
            "them. Results on the older sets are then no longer comparable.",
        ),
    ] = False,
    sheet: Annotated[bool, typer.Option(help="Draw the cases of each set in sheet.png.")] = True,
    as_json: Json = False,
) -> None:
    """Make benchmark sets, and check that each set is the frozen one.

    A set with another digest than in experiments/splits.json is refused: it stays without set.json.
    Nothing is random except by the seeds in that file.
    """
    session = Session("datasets.frozen", 0, as_json=as_json)
    content = read_splits(splits)
    chosen = names or [n for n in RECIPES if meshes is not None or not RECIPES[n].scanned]
    for name in chosen:
        if name not in RECIPES or name not in content.sets:
            raise InputError(f"there is no set {name!r}, expected one of {', '.join(RECIPES)}")
        if RECIPES[name].scanned and meshes is None:
            raise InputError(f"the set {name} contains scanned meshes: name their folder, --meshes")
    materials = Materials(content, None if meshes is None else scanned_files(meshes))
    results: dict[str, Any] = {}
    for name in chosen:
        results[name] = _make(name, materials, output / name, freeze)
        if freeze:
            write_digests({name: results[name]["digest"]}, splits)
        if sheet:
            with progress(f"pictures of {name}", results[name]["cases"]) as advance:
                results[name]["sheet"] = str(write_sheet(output / name, advance))
    lines = [
        f"{name}: {entry['cases']} cases of {entry['objects']} objects, digest {entry['digest']}"
        for name, entry in results.items()
    ]
    session.finish({"output": str(output), "sets": results}, "\n".join(lines))


def _make(name: str, materials: Materials, path: Path, freeze: bool) -> dict[str, Any]:
    """Make one set, and return its number of cases and objects and its digest."""
    recipe, splits = RECIPES[name], materials.splits
    folder = SetFolder(path)
    try:
        with progress(name, 0) as advance:
            recipe.make(materials, splits.sets[name], folder, advance)
    except InputError as error:
        raise InputError(f"cannot make the set {name}: {error}") from error
    content, digest = folder.seal(name, recipe.about, recipe.licence(splits))
    stated = splits.digests[name]
    if not freeze and digest != stated:
        raise InputError(
            f"the set {name} is not the frozen set: its digest is {digest}, expected {stated}. "
            "Other versions of NumPy, SciPy, trimesh or manifold3d may make other meshes; a new "
            "set must be frozen (--freeze)"
        )
    folder.close(content)
    return {"cases": folder.cases, "objects": folder.groups, "digest": digest}


main = partial(run, app)
"""Run the program, with the command-line arguments of the process or with a given list."""


if __name__ == "__main__":
    main()
