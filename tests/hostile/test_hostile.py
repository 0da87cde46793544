"""Every hostile file is refused in one sentence, quickly, and without opening another file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig
from grasp.field.trained import GraspField
from pcdiff.clouds.canonical import write_clouds
from pcdiff.learning import checkpoint
from tests import tiny
from tests.geometry.contents import obj
from tests.hostile import containers, documents, geometry
from tests.hostile.case import Case

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 3 * 2**29
"""Bytes that the process may take, with its libraries."""


def sound_files(folder: Path) -> dict[str, Path]:
    """Files that the commands need besides the hostile one."""
    files = {
        "box": folder / "box.obj",
        "grasps": folder / "grasps.json",
        "weights": folder / "weights.safetensors",
        "field": folder / "field.safetensors",
        "clouds": folder / "clouds.hdf5",
        "out": folder / "out",
    }
    files["box"].write_bytes(obj())
    files["grasps"].write_text(json.dumps(documents.OURS))
    tiny.generator().save(files["weights"])
    small = FieldConfig(energy=NetworkConfig(8, 2, 4), success=NetworkConfig(8, 2, 4))
    model = {"model": small.as_dict()}
    checkpoint.save(
        files["field"], "grasp-field", model, GraspField.initialized(small, 0).state_dict()
    )
    write_clouds(files["clouds"], {"chair": {"train": tiny.clouds(6), "val": tiny.clouds(3)}})
    return files


def complaints(cases: list[Case], folder: Path) -> list[str]:
    """Run the cases in another process, and say what is wrong with the answers."""
    sound = sound_files(folder)
    commands = []
    for number, case in enumerate(cases):
        own = folder / str(number)
        file = case.write(own)
        places = {**sound, "file": file, "folder": own}
        words = [word.format(**places) for word in case.command.split()]
        allowed = [str(path) for name, path in sound.items() if name != "out"] + [str(file)]
        # Beside a mesh, a file with its convex parts may be looked for.
        allowed += [str(own / name) for name in case.beside] if case.may_open else []
        commands.append({"command": words, "allowed": allowed})
    (folder / "commands.json").write_text(json.dumps(commands))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.hostile.program",
            folder / "commands.json",
            folder / "out.json",
        ],
        cwd=ROOT,
        env={**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    reports = [json.loads(line) for line in (folder / "out.json").read_text().splitlines()]
    wrong = [
        f"{case.name}: {problem}"
        for number, (case, report) in enumerate(zip(cases, reports, strict=False))
        if (problem := problem_of(case, report, folder / str(number) / case.file))
    ]
    if len(reports) < len(cases):
        wrong.append(f"{cases[len(reports)].name} ended the process: {done.stderr[-2000:]}")
    return wrong


def problem_of(case: Case, report: dict, file: Path) -> str | None:
    said = report["err"]
    lines = [line for line in said.splitlines() if line.strip()]
    if report["code"] != 2:
        return f"exit code {report['code']}, said {said[-300:]!r}"
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"expected one sentence, got {said[-500:]!r}"
    expected = case.sentence.replace("{file}", file.name)
    if expected not in said:
        return f"expected {expected!r}, got {said!r}"
    if len(said) > 2000:
        return f"a sentence of {len(said)} characters"
    if report["out"]:
        return f"printed {report['out']!r}"
    if report["strange"]:
        return f"opened {report['strange'][:5]}"
    if report["memory"] > MEMORY:
        return f"took {report['memory'] >> 20} MiB"
    return None


@pytest.mark.parametrize("kind", ["geometry", "documents", "containers"])
def test_hostile_files_are_refused(kind, tmp_path):
    if kind == "containers":
        sound = sound_files(tmp_path)
        cases = containers.cases(sound["weights"], sound["field"])
    else:
        cases = {"geometry": geometry, "documents": documents}[kind].cases()
    assert len(cases) > 90
    assert len({case.name for case in cases}) == len(cases)
    assert complaints(cases, tmp_path) == []
