"""Options whose value is several numbers."""

from __future__ import annotations

import numpy as np
import pytest

from grasp.commands.options import join_numbers


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        ("a.obj --avoid 0 -1e-2 .5 2 --thin", "a.obj --avoid 0,-1e-2,.5,2 --thin"),
        ("--avoid 1 2 3 4 --avoid 5,6,7,8 a.obj", "--avoid 1,2,3,4 --avoid 5,6,7,8 a.obj"),
        ("--viewpoint 0 -1 0 a.npy", "--viewpoint 0,-1,0 a.npy"),
        ("--viewpoint 0 -1 0 5", "--viewpoint 0,-1,0 5"),
        ("--region 1 0 0", "--region 1,0,0"),
        ("--region a.obj", "--region a.obj"),
        ("--count 1 2", "--count 1 2"),
        ("--approach", "--approach"),
    ],
)
def test_numbers_are_joined(given, joined):
    assert join_numbers(given.split()) == joined.split()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--region 1 0 0", "--region must be four numbers X,Y,Z,RADIUS, got '1,0,0'"),
        ("--viewpoint 1 0", "--viewpoint must be three numbers X,Y,Z, got '1,0'"),
        ("--viewpoint 1,x,0", "--viewpoint must be three numbers X,Y,Z, got '1,x,0'"),
        ("--viewpoint nan 0 0", "the numbers of --viewpoint must be at most"),
    ],
)
def test_wrong_numbers_are_refused(run, tmp_path, words, complaint):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(50, 3)))
    done = run("sample", tmp_path / "a.npy", *words.split())
    assert done.code == 2 and complaint in done.err and done.err.count("\n") == 1, done.err
