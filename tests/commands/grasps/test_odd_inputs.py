"""`grasp` says how an odd file was read, and which options would make its size plausible."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from trimesh.creation import box

from grasp.commands.options import name_options
from pcdiff.errors import InputError


def test_a_cube_without_a_unit_is_advised_by_option(run, tmp_path):
    cube = tmp_path / "cube.stl"
    box((20.0, 20.0, 20.0)).export(cube)
    done = run("sample", cube)
    assert done.code == 2 and done.out == ""
    assert done.err.startswith(f"error: {cube} would be 20 m long")
    assert "probably mm (0.02 m), cm (0.2 m) or inch (0.51 m)" in done.err
    assert "crop" in done.err and done.err.endswith("(--unit, --scale)\n")


def test_what_was_left_out_of_a_mesh_is_said_beside_the_results(run, bar, three):
    with bar.open("a") as file:
        file.write("f 1 2\n")
    done = run("simulate", bar, three, "--json")
    assert done.code == 0
    remark = f"{bar}: left out 1 of 13 faces: fewer than 3 corners"
    assert remark in done.err.splitlines() and remark in done.out
    assert '"success_all"' in done.out


@pytest.fixture
def two(bar):
    """A file with the bar and, 30 cm beside it, an equal bar."""
    vertices = [line for line in bar.read_text().splitlines() if line.startswith("v")]
    faces = [line for line in bar.read_text().splitlines() if line.startswith("f")]
    moved = [f"v {float(line.split()[1]) + 300} {line.split(None, 2)[2]}" for line in vertices]
    later = ["f " + " ".join(str(int(word) + 8) for word in line.split()[1:]) for line in faces]
    path = bar.with_name("two.obj")
    path.write_text("\n".join(["o bar", *vertices, *faces, "o other", *moved, *later]) + "\n")
    return path


def test_the_object_of_the_grasps_is_chosen_by_its_name(run, two, three):
    done = run("simulate", two, three)
    assert done.code == 2 and "2 separate objects" in done.err and done.err.endswith("(--object)\n")
    done = run("simulate", two, three, "--object", "bar", "--json")
    assert done.code == 0, done.err
    assert "belong to another geometry" not in done.err
    assert json.loads(done.out)["results"]["grasps"] == 3


def test_an_evaluation_says_what_was_left_out(run, two):
    small = ("--unit", "mm", "--samples", 1, "--candidates", 2, "--no-robust", "--json")
    done = run("evaluate", two, *small, "--object", "bar")
    assert done.code == 0, done.err
    assert json.loads(done.out)["results"]["remarks"] == []
    done = run("evaluate", two, *small, "--piece", 1)
    remarks = json.loads(done.out)["results"]["remarks"]
    assert remarks[0].startswith(f"{two}: left out 12 of 24 faces: 1 separate piece")
    assert remarks[1] == f"{two}: grasps do not avoid the objects that were left out"
    assert done.err.splitlines()[:2] == remarks
    done = run("evaluate", "--set", "small", "--piece", 1)
    assert done.code == 2 and "--object and --piece apply to meshes only" in done.err


@pytest.mark.parametrize(
    ("parameter", "named"),
    [("unit_or_scale", " (--scale)"), ("mass", " (--mass)"), ("piece", ""), (None, "")],
)
def test_an_error_names_only_options_that_the_command_has(parameter, named):
    @name_options
    def command(scale: float = 1.0, weight: float = typer.Option(1.0, "--mass")) -> None:
        raise InputError("broken", parameter=parameter)

    with pytest.raises(InputError) as caught:
        command()
    assert str(caught.value) == f"broken{named}"


def test_a_sample_of_a_coloured_cloud_says_so(run, tmp_path):
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (300, 3))
    points *= 0.04 * 0.5 / np.abs(points).max(axis=1, keepdims=True)  # on a cube of 4 cm
    np.savetxt(tmp_path / "a.xyz", np.hstack([points, np.tile([1, 0, 0], (300, 1))]))
    done = run("sample", tmp_path / "a.xyz", "--count", "2", "--json")
    assert done.code == 0
    assert "ignored columns 4 to 6, which are no normals: they are the same" in done.err
    assert '"remarks"' in done.out
