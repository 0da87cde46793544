"""`grasp` says how an odd file was read, and which options would make its size plausible."""

from __future__ import annotations

import numpy as np
from trimesh.creation import box


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


def test_a_sample_of_a_coloured_cloud_says_so(run, tmp_path):
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (300, 3))
    points *= 0.04 * 0.5 / np.abs(points).max(axis=1, keepdims=True)  # on a cube of 4 cm
    np.savetxt(tmp_path / "a.xyz", np.hstack([points, np.tile([1, 0, 0], (300, 1))]))
    done = run("sample", tmp_path / "a.xyz", "--count", "2", "--json")
    assert done.code == 0
    assert "ignored columns 4 to 6, which are no normals: they are the same" in done.err
    assert '"remarks"' in done.out
