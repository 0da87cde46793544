"""What the record of grasps accepts and refuses."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from grasp.formats import Grasps
from pcdiff.errors import InputError


def test_record_refuses_arrays_of_another_length(grasps):
    # The type checker of the tests would refuse these arguments in the constructor.
    object.__setattr__(grasps, "width", np.zeros(2))
    with pytest.raises(InputError, match="one width for each of the 7 grasps, got shape"):
        grasps.__post_init__()


def test_record_accepts_rounded_rotations_and_refuses_larger_errors(grasps):
    nearly = copy.deepcopy(grasps.poses)
    nearly[:, :3, :3] *= 1 + 0.9 * 0.5e-4  # RᵀR differs from the identity by 0.9e-4
    assert len(Grasps(poses=nearly)) == 7
    nearly[:, :3, :3] *= 1 + 0.2 * 0.5e-4
    with pytest.raises(InputError, match="not orthonormal"):
        Grasps(poses=nearly)


def test_record_accepts_float32(grasps):
    # Networks on a GPU return float32.
    record = Grasps(poses=grasps.poses.astype(np.float32), energy=np.zeros(7, np.float32))
    np.testing.assert_allclose(record.ranked().poses, grasps.poses, rtol=0, atol=1e-6)
