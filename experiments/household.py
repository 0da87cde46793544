"""Check that the labelling of a set survives repeated kills of the program, and measure the time.

    python -m experiments.household [--count 60] [--labels 500] [--kills 5]

The study runs `python -m datasets.household --count 60 --labels 500` in a temporary folder. It
kills the program and all its processes with SIGKILL after a random number of finished objects, and
starts the program again. After `--kills` kills, the program runs to the end. Then the labels must
contain every candidate of every object exactly once. The study also labels a few objects again in
another folder without a kill; these labels must be equal. The time is the sum over all runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from datasets.household.catalogue import Entry, read_catalogue
from experiments import record
from grasp.formats import read_grasps
from pcdiff.tables import markdown_table

SEED = 0
COMPARED = 6
"""Number of objects that are labelled again for comparison."""


def main() -> None:
    """Run and kill the program, finish the run, compare the labels, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--kills", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder, again = Path(root) / "household", Path(root) / "again"
        options = ["--count", chosen.count, "--labels", chosen.labels, "--seed", SEED]
        command = [sys.executable, "-m", "datasets.household", *map(str, options), "--output"]
        begin = time.monotonic()
        killed_at = interrupted([*command, str(folder)], folder, chosen.count, chosen.kills)
        made = json.loads(
            subprocess.run(
                [*command, str(folder), "--json"], check=True, stdout=subprocess.PIPE
            ).stdout
        )
        seconds = time.monotonic() - begin
        entries = read_catalogue(folder)
        check_whole(folder, entries, chosen.labels)
        same = labelled_again(folder, again, entries[:: max(1, len(entries) // COMPARED)], chosen)
        card = json.loads((folder / "grasps/panda/card.json").read_text())
        shutil.copy(folder / "sheet.png", record.RESULTS / "household.png")
    results = {
        "seconds": round(seconds, 1),
        "seconds_of_the_last_run": made["seconds"],
        "killed_after_objects": killed_at,
        "objects_labelled_again": same,
        "labels": card,
    }
    record.write("household", SEED, results, table(results))


def interrupted(command: list[str], folder: Path, count: int, kills: int) -> list[int]:
    """Start a command repeatedly, and kill every run.

    Args:
        command: Command line of the program.
        folder: Folder that the program writes.
        count: Number of objects in the set.
        kills: Number of kills.

    Returns:
        For each kill, the number of labelled objects at the time of the kill.
    """
    rng = np.random.default_rng(SEED)
    done = []
    for target in sorted(rng.choice(np.arange(1, count), kills, replace=False).tolist()):
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        while process.poll() is None and labelled(folder) < target:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        # Wait a little longer, so that the kill interrupts a trial or the writing of a file.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 2))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        done.append(labelled(folder))
    return done


def labelled(folder: Path) -> int:
    """Return the number of label files in a set."""
    return len(list((folder / "grasps/panda").glob("*.h5")))


def check_whole(folder: Path, entries: list[Entry], count: int) -> None:
    """Raise an error if a candidate is missing or repeated, or a file is missing or unexpected."""
    files = {path.name for path in (folder / "grasps/panda").iterdir()}
    expected = {f"{entry.name}.h5" for entry in entries} | {"card.json", "README.md"}
    assert files == expected, f"unexpected or missing: {files ^ expected}"
    for entry in entries:
        poses = read_grasps(folder / f"grasps/panda/{entry.name}.h5").poses
        assert len(poses) == len(np.unique(poses, axis=0)) == count, entry.name


def labelled_again(
    folder: Path, again: Path, entries: list[Entry], chosen: argparse.Namespace
) -> list[str]:
    """Label some objects in another folder, and raise an error if the labels differ.

    Args:
        folder: Folder of the labelled set.
        again: Folder for the new labels; the folder must not exist.
        entries: Catalogue entries of the objects to label.
        chosen: Options of this study.

    Returns:
        The names of the objects.
    """
    (again / "meshes").mkdir(parents=True)
    catalogue = json.loads((folder / "catalogue.json").read_text())
    names = [entry.name for entry in entries]
    catalogue["objects"] = [each for each in catalogue["objects"] if each["name"] in names]
    (again / "catalogue.json").write_text(json.dumps(catalogue))
    for path in (folder / "meshes").iterdir():
        shutil.copy(path, again / "meshes")
    command = [sys.executable, "-m", "datasets.labels", str(again), "--count", str(chosen.labels)]
    subprocess.run([*command, "--seed", str(SEED)], check=True, stdout=subprocess.DEVNULL)
    for name in names:
        first, second = (read_grasps(each / f"grasps/panda/{name}.h5") for each in (folder, again))
        assert np.array_equal(first.poses, second.poses), name
        others = second.arrays()
        assert all(np.array_equal(array, others[key]) for key, array in first.arrays().items()), (
            name
        )
    return names


def table(results: dict[str, Any]) -> str:
    """Return the results in Markdown."""
    card = results["labels"]
    rows = [["family", "objects", "hold, % (95 %)"]]
    for name, each in [*card["families"].items(), ("all", card)]:
        low, high = each["success_rate_interval"]
        rate = f"{100 * each['success_rate']:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        rows.append([name, str(each["objects"]), rate])
    killed = ", ".join(map(str, results["killed_after_objects"]))
    return "\n\n".join(
        [
            markdown_table(rows),
            f"{card['grasps']} labels of {card['objects']} objects in {results['seconds']:.0f} s, "
            f"with {len(results['killed_after_objects'])} ends by SIGKILL, when {killed} objects "
            "were done. None lost, none doubled; those of "
            f"{len(results['objects_labelled_again'])} objects made again without a kill are the "
            "same to the last bit.",
            "![The objects](household.png)",
        ]
    )


if __name__ == "__main__":
    main()
