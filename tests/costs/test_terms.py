"""Costs against closed forms, finite differences and the constraints that they express."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from grasp.costs import ApproachCone, AwayFromPoint, Constraint, InBox, NearPoint
from grasp.grippers.gripper import load_gripper
from pcdiff.errors import InputError
from pcdiff.manifolds.se3 import SE3

TCP = np.array([0.01, -0.02, 0.1034])
HAND = dataclasses.replace(load_gripper("panda"), tool_center_point=TCP)
POINT = np.array([1.0, 0.2, -0.3])
BALL = NearPoint(POINT, 0.02, HAND, sigma=0.005)
BOX = InBox(np.array([0.99, -np.inf, -0.32]), np.array([1.01, 0.21, np.inf]), HAND, sigma=0.005)
CONE = ApproachCone(np.array([0.0, 3.0, 4.0]), math.radians(30), sigma=0.2)
AWAY = AwayFromPoint(POINT + np.array([0.08, 0.0, 0.0]), 0.1, HAND, sigma=0.005)
ALL = {"ball": BALL, "box": BOX, "cone": CONE, "away": AWAY}
SPACE = SE3()


def poses(count: int, generator: torch.Generator, spread: float = 0.3) -> Tensor:
    """Poses whose tool centre points scatter around POINT, in double precision."""
    turned = SPACE.random(
        (count, 4, 4), spread, generator, torch.zeros(3, dtype=torch.float64), torch.float64
    )
    turned[:, :3, 3] += torch.from_numpy(POINT) - turned[:, :3, :3] @ torch.from_numpy(TCP)
    return turned


def with_tcp_at(point: np.ndarray) -> Tensor:
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.from_numpy(point - TCP)
    return pose


def with_approach(angle: float) -> Tensor:
    """A pose whose approach direction makes an angle with the cone's axis."""
    axis = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    aside = torch.tensor([0.0, -0.8, 0.6], dtype=torch.float64)
    z = math.cos(angle) * axis + math.sin(angle) * aside
    x = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.stack([x, torch.linalg.cross(z, x), z], dim=1)
    return pose


def gradient(cost: Constraint, at: Tensor) -> Tensor:
    step = torch.zeros(*at.shape[:-2], 6, dtype=at.dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(cost(SPACE.retract(at, step)).sum(), step)
    return slope


# --- Closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "cost"),
    [
        ([0.0, 0.0, 0.0], 0.0),
        ([0.0, 0.0199, 0.0], 0.0),
        ([0.0, 0.0, -0.025], 0.5),  # σ beyond the ball
        ([0.018, 0.024, 0.0], 2.0),  # 3 cm from the point
    ],
)
def test_ball(offset: list[float], cost: float) -> None:
    pose = with_tcp_at(POINT + offset)
    assert float(BALL(pose)) == pytest.approx(cost, abs=1e-12)
    assert bool(BALL.holds(pose)) == (cost == 0)


@pytest.mark.parametrize(
    ("distance", "cost"),
    [
        (0.1001, 0.0),
        (0.1, 0.0),
        (0.06, 0.5 * (0.032 / 0.005) ** 2),  # (0.1² - 0.06²) / 0.2 = 0.032
        (0.0, 0.5 * (0.05 / 0.005) ** 2),  # half the radius at the centre
    ],
)
@pytest.mark.parametrize("direction", [[1.0, 0.0, 0.0], [0.0, 0.6, -0.8]])
def test_avoided_ball(distance: float, cost: float, direction: list[float]) -> None:
    """The gradient of the cost with respect to the point p is −excess/σ² (p − c)/r."""
    offset = distance * np.array(direction)
    pose = with_tcp_at(AWAY.point + offset)
    assert float(AWAY(pose)) == pytest.approx(cost, abs=1e-12)
    assert bool(AWAY.holds(pose)) == (cost == 0)
    excess = max(0.0, (0.1**2 - distance**2) / 0.2)
    slope = gradient(AWAY, pose)[:3].numpy()  # the gripper's axes are those of the object here
    np.testing.assert_allclose(slope, -excess / 0.005**2 * offset / 0.1, rtol=1e-9, atol=1e-9)


def test_constraints_say_what_they_are() -> None:
    assert [str(each) for each in (BALL, AWAY, CONE, BOX)] == [
        "the region within 0.02 m of (1, 0.2, -0.3)",
        "the avoided ball within 0.1 m of (1.08, 0.2, -0.3)",
        "the approach cone of 30° around (0, 3, 4)",
        "the box from (0.99, -inf, -0.32) to (1.01, 0.21, inf)",
    ]


@pytest.mark.parametrize(
    ("at", "cost"),
    [
        ([1.0, -50.0, 70.0], 0.0),  # far away, but along unbounded axes
        ([1.0, 0.215, 0.0], 0.5),
        ([0.98, 0.22, -0.325], 0.5 * (4 + 4 + 1)),
    ],
)
def test_box(at: list[float], cost: float) -> None:
    pose = with_tcp_at(np.array(at))
    assert float(BOX(pose)) == pytest.approx(cost, abs=1e-9)
    assert bool(BOX.holds(pose)) == (cost == 0)


@pytest.mark.parametrize("degrees", [0.0, 29.9, 30.1, 60.0, 90.0, 180.0])
def test_cone(degrees: float) -> None:
    pose = with_approach(math.radians(degrees))
    excess = max(0.0, math.cos(math.radians(30)) - math.cos(math.radians(degrees)))
    assert float(CONE(pose)) == pytest.approx(0.5 * (excess / 0.2) ** 2, abs=1e-12)
    assert bool(CONE.holds(pose)) == (degrees <= 30)


def test_a_cone_of_half_angle_pi_accepts_everything(generator: torch.Generator) -> None:
    everything = ApproachCone(np.array([0.0, 0.0, -1.0]), math.pi, sigma=0.1)
    assert everything.holds(poses(100, generator)).all()


@pytest.mark.parametrize("name", ALL)
def test_any_batch_shape_and_dtype(name: str, generator: torch.Generator) -> None:
    cost, at = ALL[name], poses(24, generator)
    values, met = cost(at), cost.holds(at)
    assert cost(at.view(2, 3, 4, 4, 4)).equal(values.view(2, 3, 4))
    assert cost.holds(at.view(2, 12, 4, 4)).equal(met.view(2, 12))
    assert cost(at[0]).equal(values[0])
    single = cost(at.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), values, rtol=1e-3, atol=1e-3)


# --- Gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_gradients_agree_with_finite_differences(name: str, generator: torch.Generator) -> None:
    cost, at = ALL[name], poses(4, generator)
    assert (cost(at) > 0).sum() > 1
    step = torch.zeros(len(at), 6, dtype=torch.float64, requires_grad=True)
    moved = lambda v: cost(SPACE.retract(at, v))  # noqa: E731
    assert torch.autograd.gradcheck(moved, step)
    assert torch.autograd.gradgradcheck(moved, step)


@pytest.mark.parametrize("name", ALL)
def test_cost_gradient_and_constraint_agree(name: str, generator: torch.Generator) -> None:
    cost, at = ALL[name], poses(500, generator, spread=0.25)
    met, slope = cost.holds(at), gradient(cost, at)
    assert 0.02 < met.double().mean() < 0.98
    assert met.equal(cost(at) == 0)
    assert slope[met].count_nonzero() == 0
    assert (slope[~met].norm(dim=1) > 0).all()


def test_the_gradient_starts_at_zero() -> None:
    for beyond in (0.0, 1e-6, 1e-4):
        at = with_tcp_at(POINT + np.array([0.0, 0.0, 0.02 + beyond]))
        # Along z of the object's frame, which is also the gripper's frame here: excess / σ².
        assert float(gradient(BALL, at)[2]) == pytest.approx(beyond / 0.005**2, abs=1e-6)
        angle = math.radians(30) + beyond
        slope = gradient(CONE, with_approach(angle))
        expected = (math.cos(math.radians(30)) - math.cos(angle)) * math.sin(angle) / 0.2**2
        assert float(slope.norm()) == pytest.approx(expected, abs=1e-9)


def test_gradients_are_finite_where_norms_and_angles_have_none() -> None:
    opposite, along = with_approach(math.pi), with_approach(0.0)
    centre, within = with_tcp_at(POINT), with_tcp_at(AWAY.point)
    cases = ((CONE, opposite), (CONE, along), (BALL, centre), (BOX, centre), (AWAY, within))
    for cost, at in cases:
        step = torch.zeros(6, dtype=torch.float64, requires_grad=True)
        value = cost(SPACE.retract(at, step))
        (slope,) = torch.autograd.grad(value, step, create_graph=True)
        assert slope.isfinite().all()
        (curvature,) = torch.autograd.grad(slope.square().sum() + slope.sum(), step)
        assert curvature.isfinite().all()
    torch.testing.assert_close(
        gradient(CONE, opposite), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-12
    )
    assert float(CONE(opposite)) > float(CONE(with_approach(3.0)))


# --- Noise ----------------------------------------------------------------------------------------


def test_blurred_is_the_cost_under_noise() -> None:
    """−log E exp(−cost) of a normal excess by quadrature, so far outside that no noise gets in."""
    at_base = dataclasses.replace(HAND, tool_center_point=np.zeros(3))
    bound = InBox(np.zeros(3), np.full(3, np.inf), at_base, sigma=0.01)
    level, length = 0.3, 0.1
    noise = np.linspace(-10, 10, 20_001)
    law = np.exp(-(noise**2) / 2)

    def reference(depth: float) -> float:
        excess = np.maximum(depth + level * length * noise, 0)
        return -math.log((law * np.exp(-((excess / 0.01) ** 2) / 2)).sum() / law.sum())

    def ours(depth: float) -> float:
        pose = torch.eye(4, dtype=torch.float64)
        pose[0, 3] = -depth
        return float(bound.blurred(level, length)(pose))

    assert ours(0.2) - ours(0.18) == pytest.approx(reference(0.2) - reference(0.18), rel=1e-3)
    assert bound.blurred(0.0, length).sigma == bound.sigma


@pytest.mark.parametrize("name", ALL)
def test_blurring_covers_how_far_noise_moves_the_excess(
    name: str, generator: torch.Generator
) -> None:
    cost, level = ALL[name], 0.02
    spread = math.sqrt(cost.blurred(level, SPACE.length).sigma ** 2 - cost.sigma**2)
    largest = 0.0
    # Poses must be so deep in the avoided ball that noise does not move them out of it.
    for at in poses(30, generator, spread=0.3 if name == "away" else 2.0):
        still = at.expand(4000, 4, 4)
        moved = SPACE.retract(still, level * SPACE.tangent_noise(still, generator))
        excess = cost.excess(moved)
        outside = (excess > 0).all(dim=0)
        largest = max(largest, *excess.std(dim=0)[outside].tolist(), 0.0)
    assert 0.75 * spread < largest < 1.05 * spread


@pytest.mark.parametrize("name", ALL)
def test_a_step_of_a_sampler_does_not_overshoot(name: str, generator: torch.Generator) -> None:
    """A step that removes all of a level's noise moves by σ² S times the gradient."""
    level, at = 1.2, poses(200, generator, spread=1.0)
    sharp, blurred = ALL[name], ALL[name].blurred(1.2, SPACE.length)
    metric = SPACE.from_unit(SPACE.from_unit(torch.ones(6, dtype=torch.float64)))

    def after(cost: Constraint) -> Tensor:
        return sharp.excess(SPACE.retract(at, -(level**2) * metric * gradient(cost, at)))

    before = sharp.excess(at).norm(dim=1)
    assert (after(blurred).norm(dim=1) <= before + 1e-12).double().mean() > 0.95
    if name in ("ball", "box"):  # an overshoot leaves an avoided ball on its other side
        assert after(sharp).norm(dim=1).mean() > 10 * before.mean()


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: NearPoint(np.array([0.0, np.nan, 0.0]), 0.1, HAND, sigma=0.1), "three finite"),
        (lambda: NearPoint(POINT, 0.0, HAND, sigma=0.1), "radius must be above 0"),
        (lambda: NearPoint(POINT, 0.1, HAND, sigma=0.0), "sigma must be above 0"),
        (lambda: AwayFromPoint(POINT * np.inf, 0.1, HAND, sigma=0.1), "three finite"),
        (lambda: AwayFromPoint(POINT, -0.1, HAND, sigma=0.1), "radius must be above 0"),
        (lambda: InBox(POINT, POINT - 1, HAND, sigma=0.1), "must not be above its upper"),
        (lambda: InBox(np.full(3, np.nan), POINT, HAND, sigma=0.1), "must not be above its upper"),
        (lambda: ApproachCone(np.zeros(3), 0.3, sigma=0.1), "must not have length 0"),
        (lambda: ApproachCone(POINT, 4.0, sigma=0.1), "half-angle"),
        (lambda: BALL.blurred(-1.0, 0.1), "noise level"),
    ],
)  # fmt: skip
def test_refusals(make: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
