"""Derivatives of the cost compose: `torch.func` and `torch.export` against plain autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import hessian, jacfwd, jacrev, vmap
from trimesh.creation import box

from grasp.field.configuration import FieldConfig
from grasp.field.export import exported_cost, exported_cost_and_gradient
from grasp.field.networks.energy import NetworkConfig
from grasp.field.networks.kernel_sums import kernel_sums
from grasp.field.trained import GraspField
from grasp.objects.object import Object
from pcdiff.clouds.condition import CloudCondition
from pcdiff.clouds.networks.gated import GatedPointNetwork
from pcdiff.randomness import normal, seeded

LEVEL = 0.2

# torch's own forward-mode derivatives and export still import parts that torch itself deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*torch.jit:DeprecationWarning", "ignore::FutureWarning:torch"
)


@pytest.fixture(scope="module")
def of_bar():
    config = FieldConfig(energy=NetworkConfig(width=16, layers=2, summary=4))
    field = GraspField.initialized(config, 0).double().eval().requires_grad_(False)
    mesh = box((0.03, 0.04, 0.12))
    return field.condition(Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces)))


@pytest.fixture(scope="module")
def poses(of_bar):
    space = of_bar.model.space
    start = torch.eye(4, dtype=torch.float64).repeat(4, 1, 1)
    return space.retract(start, 0.5 * space.tangent_noise(start, seeded(1)))


@pytest.fixture(scope="module")
def moved(of_bar):
    """The cost of one pose moved by a tangent vector."""
    return lambda v, pose: of_bar.cost(of_bar.model.space.retract(pose, v), LEVEL)


def test_vmap_over_poses_equals_the_batch(of_bar, poses):
    expected = of_bar.cost(poses, LEVEL)
    torch.testing.assert_close(vmap(lambda pose: of_bar.cost(pose, LEVEL))(poses), expected)


@pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
def test_the_jacobian_is_the_gradient(of_bar, poses, moved, jacobian):
    zero = torch.zeros(6, dtype=torch.float64)
    found = vmap(jacobian(moved), (None, 0))(zero, poses)
    torch.testing.assert_close(found, of_bar.cost_and_gradient(poses, LEVEL)[1])


def test_the_hessian_matches_differences_of_gradients(of_bar, poses, moved):
    zero, step = torch.zeros(6, dtype=torch.float64), 1e-5
    found = vmap(hessian(moved), (None, 0))(zero, poses)
    gradient = jacrev(moved)
    for axis, direction in enumerate(torch.eye(6, dtype=torch.float64)):
        for pose, rows in zip(poses, found, strict=True):
            ahead, behind = (gradient(sign * step * direction, pose) for sign in (1, -1))
            torch.testing.assert_close(
                rows[axis], (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-5
            )


def test_kernel_sums_can_be_mapped_over_all_arguments():
    """Each entry of the batch has its own points, values and widths."""
    x, points = (normal((5, 2, 7, 3), seeded(each), torch.float64) for each in (1, 2))
    values = normal((5, 2, 7, 4), seeded(3), torch.float64)
    precision = normal((5, 2, 7, 1), seeded(4), torch.float64).square() + 0.5
    found = vmap(kernel_sums)(x, precision, points, values)
    for place in range(5):
        own = kernel_sums(x[place], precision[place], points[place], values[place])
        torch.testing.assert_close(found[place], own)


def test_exported_programs_of_the_cost_and_its_gradient(of_bar, poses):
    value, gradient = of_bar.cost_and_gradient(poses, LEVEL)
    torch.testing.assert_close(exported_cost(of_bar, 4, LEVEL).module()(poses), value)
    found = exported_cost_and_gradient(of_bar, 4, LEVEL).module()(poses)
    torch.testing.assert_close(found, (value, gradient))


def test_an_exported_program_of_the_cloud_network():
    network = GatedPointNetwork(4, (8, 8)).eval().requires_grad_(False)
    points, log_snr = normal((2, 10, 3), seeded(0)), torch.tensor([-1.0, 2.0])
    condition = CloudCondition(latent=normal((2, 4), seeded(1)))
    program = torch.export.export(network, (points, log_snr, condition))
    expected = network(2 * points, log_snr, condition)
    torch.testing.assert_close(program.module()(2 * points, log_snr, condition), expected)
