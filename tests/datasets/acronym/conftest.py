"""The download that the tests of `datasets.acronym` prepare."""

from __future__ import annotations

import pytest

from tests.datasets.acronym.download import ALL, write_grasps, write_mesh


@pytest.fixture
def download(tmp_path):
    """A folder of grasps and one of meshes."""
    grasps, meshes = tmp_path / "acronym" / "grasps", tmp_path / "models-OBJ" / "models"
    for name in ALL:
        write_grasps(grasps / f"{name}.h5")
        write_mesh(meshes, name)
    return grasps, meshes
