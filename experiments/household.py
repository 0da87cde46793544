"""Check that labelling a set of objects survives being killed repeatedly, and time it.

    python -m experiments.household [--count 60] [--labels 500] [--kills 5]

It runs `python -m datasets.household --count 60 --labels 500` in a temporary folder. It kills the
program and all its processes with SIGKILL after a random number of finished objects, `--kills`
times, and then lets it finish. After that, the labels must contain every candidate of every object
exactly once. A few objects are labelled again in another folder without a kill, and their labels
must be the same. The reported time is the sum over all runs.
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
    """Make, kill, resume, compare, and write the table."""
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
    """Start the command and kill it `kills` times.

    Args:
        command: Command line of the program.
        folder: Folder that it writes.
        count: Number of objects in the set.
        kills: Number of kills.

    Returns:
        For each kill, the number of objects that had been labelled by then.
    """
    rng = np.random.default_rng(SEED)
    done = []
    for target in sorted(rng.choice(np.arange(1, count), kills, replace=False).tolist()):
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        while process.poll() is None and labelled(folder) < target:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        # Wait a little longer, so that the kill falls into a trial or into the writing of a file.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 2))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        done.append(labelled(folder))
    return done


def labelled(folder: Path) -> int:
    """Count the label files in a set."""
    return len(list((folder / "grasps/panda").glob("*.h5")))


def check_whole(folder: Path, entries: list[Entry], count: int) -> None:
    """Raise unless each object has each candidate exactly once and there are no other files."""
    files = {path.name for path in (folder / "grasps/panda").iterdir()}
    expected = {f"{entry.name}.h5" for entry in entries} | {"card.json", "README.md"}
    assert files == expected, f"unexpected or missing: {files ^ expected}"
    for entry in entries:
        poses = read_grasps(folder / f"grasps/panda/{entry.name}.h5").poses
        assert len(poses) == len(np.unique(poses, axis=0)) == count, entry.name


def labelled_again(
    folder: Path, again: Path, entries: list[Entry], chosen: argparse.Namespace
) -> list[str]:
    """Label some objects in another folder, and raise unless their labels are the same.

    Args:
        folder: Folder of the labelled set.
        again: Folder to label them in; it must not exist.
        entries: Entries of the objects.
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
