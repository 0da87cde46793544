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
    """Print the table and write it, together with what is needed to reproduce it.

    Args:
        name: Name of the experiment, which is the stem of both files.
        seed: Seed of the experiment.
        results: Figures as a dictionary, for the JSON file.
        table: Figures as human-readable text in Markdown.
    """
    record = {
        "command": " ".join(
            ["python -m", f"experiments.{Path(sys.argv[0]).stem}", *map(_outside, sys.argv[1:])]
        ),
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": _machine(),
        "seed": seed,
        "results": results,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    stamp = ", ".join(f"{key} {record[key]}" for key in ("commit", "date", "machine", "seed"))
    (RESULTS / f"{name}.md").write_text(f"`{record['command']}` ({stamp})\n\n{table}\n")
    print(table)


def answer(program: str, *arguments: str) -> dict[str, Any]:
    """Run a command of `pcdiff` or `grasp` with `--json`, and return the JSON object it prints.

    Args:
        program: Program to run, `pcdiff` or `grasp`.
        arguments: Command line of the program, without `--json`.
    """
    command = [sys.executable, "-m", program, *arguments, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _outside(argument: str) -> str:
    """Strip the folders of this machine from a command-line argument."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _commit() -> str:
    """Return the commit of the checkout, followed by + if it has uncommitted changes."""
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"],
        cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return commit.stdout.strip() or "unknown"


def _machine() -> str:
    import torch

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    return f"{processor}, {os.cpu_count()} cores, torch {torch.__version__}"
