"""The two examples that ACRONYM publishes, prepared."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from datasets.household.catalogue import read_catalogue
from grasp.formats import read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from tests.datasets.acronym.download import (
    prepared,
)


@pytest.fixture(scope="module")
def examples(shared_data, tmp_path_factory):
    """The set prepared from ACRONYM's two examples."""
    source = shared_data / "acronym_examples" / "examples"
    if not source.is_dir():
        pytest.skip("needs ACRONYM's examples in the development data")
    output = tmp_path_factory.mktemp("acronym")
    return prepared((source / "grasps", source / "meshes"), output)


@pytest.mark.parametrize("family", ["Mug", "Table"])
def test_acronyms_grasps_are_at_the_mesh(examples, family):
    (entry,) = (each for each in read_catalogue(examples) if each.family == family)
    grasps = read_grasps(examples / "grasps" / "panda" / f"{entry.name}.h5")
    obj = load_object(examples / entry.file)
    # The mass is the density in the file times the volume of the mesh in metres.
    with h5py.File(examples / "grasps" / "panda" / f"{entry.name}.h5") as file:
        density, volume = file["object/density"][()], file["object/volume"][()]
    assert obj.mesh().volume == pytest.approx(volume, rel=1e-5)
    assert grasps.mass == pytest.approx(density * obj.mesh().volume, rel=1e-5)
    np.testing.assert_allclose(obj.centre, grasps.center_of_mass, atol=2e-8)
    # The open hand has surface between its pads, and its body and fingers do not touch it.
    gripper = load_gripper("panda")
    points, _ = obj.surface(20_000, np.random.default_rng(0))
    hit = []
    for pose in grasps.poses[grasps.success][::10]:
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        low, high = [-gripper.stroke / 2, -0.0087, 0.0946], [gripper.stroke / 2, 0.0087, 0.1122]
        assert ((local >= low) & (local <= high)).all(axis=1).any()
        deep = [
            (np.abs(local - box.centre) < np.array(box.half_extents) - 0.002).all(axis=1).any()
            for box in gripper.boxes(gripper.stroke)
        ]
        hit.append(any(deep))
    assert np.mean(hit) < 0.02
