"""Rough scans of the objects of a set: near the true mesh, repeatable, and part of the training."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from datasets.household.plans import SetOptions, plan_families
from datasets.scans import damage_of, digest_of, write_scans
from grasp.field.items import SCANS
from grasp.field.prepared import MeshFile, Recipe, prepare
from grasp.objects.loading import load_object


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans") / "set"
    plan_families(SetOptions(3, 2, 0.6), ["knob", "spoon"]).write(folder)
    assert write_scans(folder, 7) == []
    return folder


def test_a_scan_is_as_far_from_the_mesh_as_its_damage_says(folder):
    for path in sorted((folder / "meshes").glob("*.obj")):
        if path.name.endswith(".parts.obj"):
            continue
        damage, _ = damage_of(7, path.stem)
        truth, scan = load_object(path), load_object(folder / SCANS / path.name)
        on_truth, _ = truth.surface(200_000, np.random.default_rng(0))
        on_scan, _ = scan.surface(4000, np.random.default_rng(0))
        apart, _ = cKDTree(on_truth).query(on_scan)
        near = apart < damage.distance + 0.0015
        assert np.median(apart) > 1e-4  # damaged
        assert near.mean() > (0.6 if damage.closing or damage.floaters else 0.99)


def test_scans_are_made_once_and_always_the_same(folder, tmp_path):
    before = digest_of(folder)
    times = {path: path.stat().st_mtime_ns for path in (folder / SCANS).iterdir()}
    write_scans(folder, 7)
    assert {path: path.stat().st_mtime_ns for path in (folder / SCANS).iterdir()} == times
    again = tmp_path / "again"
    plan_families(SetOptions(3, 2, 0.6), ["knob", "spoon"]).write(again)
    write_scans(again, 7)
    assert digest_of(again) == before
    write_scans(again, 8)
    assert digest_of(again) != before


def test_training_sees_the_scan_beside_the_true_mesh(folder, tmp_path):
    path = min((folder / SCANS).iterdir())
    mesh = folder / "meshes" / path.name
    truth = load_object(mesh)
    for scan, surfaces in ((None, 2), (path, 3)):
        (made,) = prepare(
            [MeshFile(mesh, 1.0, truth.sha256, scan)], tmp_path / str(surfaces), Recipe(0, 1, 1, 1)
        )
        assert len(made.surfaces) == surfaces
    rough = load_object(path)
    found = made.surfaces[-1]
    apart, _ = cKDTree(rough.surface(100_000, np.random.default_rng(1))[0]).query(
        (found.points[0] + found.centre).double().numpy()
    )
    # A fine point is the mean of a patch of the surface, so it lies a little inside a curve.
    assert np.median(apart) < 0.001


def test_a_changed_scan_is_prepared_again(folder, tmp_path):
    path = min((folder / SCANS).iterdir())
    mesh = folder / "meshes" / path.name
    truth = load_object(mesh)
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    entry = MeshFile(mesh, 1.0, truth.sha256, copy)
    (before,) = prepare([entry], tmp_path / "kept", Recipe(0, 1, 0, 1))
    copy.write_text(mesh.read_text("utf-8"), "utf-8")
    (after,) = prepare([entry], tmp_path / "kept", Recipe(0, 1, 0, 1))
    assert not before.surfaces[-1].points.equal(after.surfaces[-1].points)
