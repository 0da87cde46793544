"""Write the result of an experiment to `results/NAME.json` and its table to `results/NAME.md`."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write(name: str, seed: int, results: dict[str, Any], table: str) -> None:
    """Print a table, and write the table and the results of an experiment.

    The files also state the command, commit, date, machine and seed.

    Args:
        name: Name of the experiment, which is the name of both files without the ending.
        seed: Seed of the experiment.
        results: Results as a dictionary, for the JSON file.
        table: Results as human-readable text in Markdown.
    """
    record = {
        "command": " ".join(
            ["python -m", f"experiments.{Path(sys.argv[0]).stem}", *map(_outside, sys.argv[1:])]
        ),
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "seed": seed,
        "results": results,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    stamp = ", ".join(f"{key} {record[key]}" for key in ("commit", "date", "machine", "seed"))
    (RESULTS / f"{name}.md").write_text(f"`{record['command']}` ({stamp})\n\n{table}\n")
    print(table)


def answer(program: str, *arguments: str) -> dict[str, Any]:
    """Run a command of `pcdiff` or `grasp` with `--json`, and return the printed JSON object.

    Args:
        program: Program to run, `pcdiff` or `grasp`.
        arguments: Command line of the program, without `--json`.
    """
    command = [sys.executable, "-m", program, *arguments, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _outside(argument: str) -> str:
    """Return a command-line argument; for an absolute path, return only the file name."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _commit() -> str:
    """Return the commit of the checkout, with a + at the end if there are uncommitted changes."""
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"],
        cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return commit.stdout.strip() or "unknown"


def machine() -> str:
    """Return the processor, the number of cores and the version of torch in words."""
    import torch

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    return f"{processor}, {os.cpu_count()} cores, torch {torch.__version__}"
