"""Grasps with known positions, and physics with known outcomes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from trimesh.creation import box

from grasp.formats import Grasps
from grasp.judging.evaluation import Judge, evaluate
from grasp.objects.object import Object


def plate(thickness, name):
    mesh = box((thickness, 0.1, 0.1))
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces), name=name)


THIN, THICK = plate(0.02, "thin"), plate(0.03, "thick")


def at(places):
    """Poses of grasps that differ in their positions only."""
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    poses[:, :3, 3] = np.reshape(places, (-1, 3))
    return poses


def row(count, y=0.0):
    """Poses 5 cm apart, so that none covers another."""
    return at([(0.05 * index, y, 0.0) for index in range(count)])


def outcomes(success, failure, width):
    return SimpleNamespace(
        success=success, failure=failure, width=width, protocol="7", mass=0.25, friction=0.75,
        warning=None,
    )  # fmt: skip


def physics(obj, gripper, poses):
    """A grasp holds at y = 0, is in collision at y < 0, and drops the object at y > 0."""
    y = poses[:, 1, 3]
    failure = np.where(y == 0, "", np.where(y < 0, "collision", "dropped"))
    return outcomes(y == 0, failure, 0.02 + 0 * y)


def labelled(count, failing=5):
    poses = np.concatenate([row(count), row(failing, y=1.0)])
    return lambda obj: Grasps(poses, success=np.arange(len(poses)) < count)


UNFIT = labelled(1, failing=100)


def gives(poses, **more):
    return lambda obj, count, rng: Grasps(poses, **more)


def judge(poses, gripper, positives=40, objects=(THIN,), **options):
    labels = options.pop("labels", labelled(positives))
    by = Judge(physics, options.pop("measures", ()), labels=labels)
    return evaluate(gives(poses), objects, gripper, by, name="test", **options)


def timeless(figures):
    """The figures of a judgement or a report without CPU times, which no seed determines."""
    return {
        key: [timeless(each) for each in value] if key == "by_object" else value
        for key, value in figures.items()
        if not key.startswith("cpu_seconds")
    }
