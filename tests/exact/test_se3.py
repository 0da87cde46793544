"""SE(3) against homogeneous matrices, the group exponential and exact stationary moments."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pcdiff.diffusion.samplers import langevin_step
from pcdiff.manifolds import SE3, SO3, se3, so3

CENTRE = torch.tensor([0.4, -1.0, 2.0], dtype=torch.float64)


def random_poses(count: int, generator: torch.Generator) -> Tensor:
    return SE3(1.0).random((count, 4, 4), 1.0, generator, CENTRE, torch.float64)


def group_exponential(twist: Tensor) -> Tensor:
    """The exponential of the whole group, that of [[ω̂, ρ], [0, 0]]: a slow, obvious reference."""
    upper = torch.cat([so3.hat(twist[..., 3:]), twist[..., :3, None]], dim=-1)
    return torch.linalg.matrix_exp(torch.nn.functional.pad(upper, (0, 0, 0, 1)))


def body_score(target: Tensor, poses: Tensor, spread: float, precision: Tensor) -> Tensor:
    """−∇E in the body frame, E = (t−t₀)ᵀP(t−t₀)/2 + |Log(R₀ᵀR)|²/(2s²), P in the world frame."""
    offset = poses[..., :3, 3] - target[:3, 3]
    pull = -(poses[..., :3, :3].mT @ precision @ offset[..., None])[..., 0]
    omega = so3.log(target[:3, :3].mT @ poses[..., :3, :3])
    return torch.cat([pull, -omega / spread**2], dim=-1)


class TestPoses:
    def test_parts_and_composition(self, generator: torch.Generator) -> None:
        pose_a_b, pose_b_c = random_poses(20, generator), random_poses(20, generator)
        points_c = torch.randn(20, 7, 3, dtype=torch.float64, generator=generator)
        rebuilt = se3.pose(pose_a_b[:, :3, :3], pose_a_b[:, :3, 3])
        assert rebuilt.equal(pose_a_b)
        torch.testing.assert_close(
            se3.transform(pose_a_b @ pose_b_c, points_c),
            se3.transform(pose_a_b, se3.transform(pose_b_c, points_c)),
        )
        homogeneous = torch.nn.functional.pad(points_c, (0, 1), value=1)
        expected = torch.einsum("bij,bnj->bni", pose_b_c, homogeneous)[..., :3]
        torch.testing.assert_close(se3.transform(pose_b_c, points_c), expected)

    def test_inverse_is_the_matrix_inverse(self, generator: torch.Generator) -> None:
        poses = random_poses(20, generator)
        torch.testing.assert_close(se3.inverse(poses), torch.linalg.inv(poses))

    def test_leading_axes_broadcast(self, generator: torch.Generator) -> None:
        poses = random_poses(6, generator).unflatten(0, (2, 3))
        points = torch.randn(9, 3, dtype=torch.float64, generator=generator)
        found = se3.transform(poses, points)
        torch.testing.assert_close(found[1, 2], se3.transform(poses[1, 2], points))
        turned = se3.pose(poses[..., :3, :3], CENTRE)
        assert turned.shape == (2, 3, 4, 4)
        assert turned[1, 2, :3, 3].equal(CENTRE)

    def test_retract_is_the_product_retraction(self, generator: torch.Generator) -> None:
        x = random_poses(20, generator)
        v = torch.randn(20, 6, dtype=torch.float64, generator=generator)
        moved = SE3().retract(x, v)
        rotation = x[:, :3, :3]
        translation = x[:, :3, 3] + torch.einsum("bij,bj->bi", rotation, v[:, :3])
        torch.testing.assert_close(moved[:, :3, 3], translation)
        expected = rotation @ torch.linalg.matrix_exp(so3.hat(v[:, 3:]))
        torch.testing.assert_close(moved[:, :3, :3], expected)
        last_row = torch.tensor([0.0, 0, 0, 1], dtype=torch.float64)
        assert moved[:, 3].equal(last_row.expand(20, 4))


class TestAdjoint:
    """Left and right motions agree when the whole step is mapped by the adjoint."""

    def test_maps_twists_from_the_right_to_the_left(self, generator: torch.Generator) -> None:
        """Exp(Ad_H ξ)·H = H·Exp(ξ)."""
        poses = random_poses(20, generator)
        twist = torch.randn(20, 6, 1, dtype=torch.float64, generator=generator)
        left = group_exponential((se3.adjoint(poses) @ twist)[..., 0]) @ poses
        torch.testing.assert_close(left, poses @ group_exponential(twist[..., 0]))

    def test_is_a_representation(self, generator: torch.Generator) -> None:
        a, b = random_poses(20, generator), random_poses(20, generator)
        torch.testing.assert_close(se3.adjoint(a @ b), se3.adjoint(a) @ se3.adjoint(b))
        inverted = torch.linalg.inv(se3.adjoint(a))
        torch.testing.assert_close(se3.adjoint(se3.inverse(a)), inverted)

    def test_whole_step_on_the_left_equals_that_on_the_right(
        self, generator: torch.Generator
    ) -> None:
        """Ad maps vectors and Ad^{−T} maps gradients, so the metric becomes Ad S Adᵀ."""
        poses = random_poses(20, generator)
        anchors = torch.randn(5, 3, dtype=torch.float64, generator=generator)
        metric = torch.diag(torch.tensor([0.01, 0.01, 0.01, 1, 1, 1], dtype=torch.float64))
        noise = torch.randn(20, 6, 1, dtype=torch.float64, generator=generator)
        zero = torch.zeros(20, 6, dtype=torch.float64, requires_grad=True)

        def energy(moved: Tensor) -> Tensor:
            return (se3.transform(moved, anchors) - anchors.flip(0)).norm(dim=-1).sum()

        (right,) = torch.autograd.grad(energy(poses @ group_exponential(zero)), zero)
        (left,) = torch.autograd.grad(energy(group_exponential(zero) @ poses), zero)
        (product,) = torch.autograd.grad(energy(SE3().retract(poses, zero)), zero)
        torch.testing.assert_close(product, right)
        right, left = right[..., None], left[..., None]
        ad = se3.adjoint(poses)
        torch.testing.assert_close(left, torch.linalg.inv(ad).mT @ right)

        step = 0.3
        on_the_right = -0.5 * step**2 * metric @ right + step * metric.sqrt() @ noise
        on_the_left = -0.5 * step**2 * (ad @ metric @ ad.mT) @ left + step * (
            ad @ metric.sqrt() @ noise
        )
        torch.testing.assert_close(
            group_exponential(on_the_left[..., 0]) @ poses,
            poses @ group_exponential(on_the_right[..., 0]),
        )

    def test_isotropic_noise_on_the_left_depends_on_where_the_object_stands(
        self, generator: torch.Generator
    ) -> None:
        """E|Δt|² is 3(ηℓ)² everywhere on the right; on the left 2η²|t|² is added."""
        space, count, step = SE3(0.1), 20_000, 0.02
        for translation in (torch.zeros(3), torch.tensor([1.0, 2.0, 2.0])):
            poses = se3.pose(torch.eye(3), translation).double().expand(count, 4, 4)
            noise = step * space.tangent_noise(poses, generator)
            moved = {
                "right": space.retract(poses, noise),
                "left": group_exponential(noise) @ poses,
            }
            found = {
                side: float((new - poses)[:, :3, 3].square().sum(-1).mean())
                for side, new in moved.items()
            }
            own = 3 * (step * space.length) ** 2
            lever = 2 * step**2 * float(translation.square().sum())
            assert found["right"] == pytest.approx(own, rel=0.03)
            assert found["left"] == pytest.approx(own + lever, rel=0.03)
        assert found["left"] > 500 * found["right"]  # 3 m from the origin


class TestLaws:
    def test_random_is_centred_on_the_object(self, generator: torch.Generator) -> None:
        space, count = SE3(0.2), 40_000
        poses = space.random((count, 4, 4), 1.5, generator, CENTRE, torch.float64)
        deviation = 1.5 * 0.2
        offset = (poses[:, :3, 3] - CENTRE) / deviation
        assert offset.mean(0).abs().max() < 5 / math.sqrt(count)
        torch.testing.assert_close(
            offset.T @ offset / count,
            torch.eye(3, dtype=torch.float64),
            rtol=0,
            atol=5 * math.sqrt(2 / count),
        )
        angle = so3.log(poses[:, :3, :3]).norm(dim=-1).sort().values
        expected = (angle - torch.sin(angle)) / math.pi
        assert (expected - torch.arange(1, count + 1) / count).abs().max() < 2 / math.sqrt(count)

    def test_random_takes_one_centre_per_pose(self, generator: torch.Generator) -> None:
        centres = torch.tensor([[0.0, 0, 0], [100, 0, 0]])
        poses = SE3(0.1).random((2, 4, 4), 1.0, generator, centres)
        assert poses.dtype == torch.float32
        assert (poses[:, :3, 3] - centres).abs().max() < 1

    def test_random_needs_a_centre(self, generator: torch.Generator) -> None:
        with pytest.raises(ValueError, match="need the centre of the object in metres, got None"):
            SE3().random((5, 4, 4), 1.0, generator)

    @pytest.mark.parametrize("length", [0.0, -0.1, math.nan])
    def test_length_is_positive(self, length: float) -> None:
        with pytest.raises(ValueError, match="of SE3 must be positive, in metres per radian, got"):
            SE3(length)

    def test_kernel_score_is_the_two_closed_forms(self, generator: torch.Generator) -> None:
        """−Rᵀ(t−t₀)/(σℓ)² and −ω/σ² − (sin θ/(1−cos θ) − 2/θ)·ω/θ, for the unwrapped normal."""
        space = SE3(0.3)
        mean = random_poses(50, generator)
        sigma = torch.full((50,), 0.25, dtype=torch.float64)
        x = space.retract(mean, 0.25 * space.tangent_noise(mean, generator))
        rotation = x[:, :3, :3]
        pull = torch.einsum("bji,bj->bi", rotation, mean[:, :3, 3] - x[:, :3, 3]) / 0.075**2
        omega = so3.log(mean[:, :3, :3].mT @ rotation)
        angle = omega.norm(dim=-1, keepdim=True)
        volume = torch.sin(angle) / (1 - torch.cos(angle)) - 2 / angle
        expected = torch.cat([pull, -omega / 0.25**2 - volume * omega / angle], dim=-1)
        torch.testing.assert_close(space.kernel_score(mean, x, sigma), expected)

    def test_noise_is_turned_into_the_frame_that_it_leads_to(
        self, generator: torch.Generator
    ) -> None:
        """local(x_t, x₀) of x_t = retract(x₀, v) is −v in the frame of x_t: (−Exp(−ω)ρ, −ω)."""
        space, x0 = SE3(0.1), random_poses(20, generator)
        v = 0.5 * space.tangent_noise(x0, generator)
        back = space.local(space.retract(x0, v), x0)
        turned = torch.einsum("bji,bj->bi", so3.exp(v[:, 3:]), v[:, :3])
        torch.testing.assert_close(back, -torch.cat([turned, v[:, 3:]], dim=-1))

    def test_kernel_score_does_not_depend_on_the_world_frame(
        self, generator: torch.Generator
    ) -> None:
        space = SE3(0.1)
        mean, x, world = (random_poses(20, generator) for _ in range(3))
        sigma = torch.full((20,), 0.5, dtype=torch.float64)
        torch.testing.assert_close(
            space.kernel_score(world @ mean, world @ x, sigma),
            space.kernel_score(mean, x, sigma),
        )


class TestLangevin:
    def test_step_commutes_with_a_change_of_world_frame(self) -> None:
        """step(G·H) = G·step(H) for a score in the body frame and the same noise."""
        space = SE3(0.1)
        generator = torch.Generator().manual_seed(3)
        target, x, world = (random_poses(20, generator) for _ in range(3))
        sigma = torch.full((20,), 0.6, dtype=torch.float64)

        def step(target: Tensor, x: Tensor) -> Tensor:
            score = space.kernel_score(target, x, sigma)
            return langevin_step(space, x, score, 0.2, torch.Generator().manual_seed(7))

        torch.testing.assert_close(step(world @ target, world @ x), world @ step(target, x))

    @pytest.mark.parametrize("length", [0.1, 0.3])
    def test_stationary_moments_of_both_parts(
        self, length: float, generator: torch.Generator
    ) -> None:
        """A world-frame normal with unequal axes times exp(−θ²/2s²), with S = diag(ℓ²I, I).

        A wrong power of ℓ changes the speed or the variance of the translation by ℓ^{±2}. A score
        that stays in the world frame mixes its axes.
        """
        space, chains, moves, step, spread = SE3(length), 4000, 250, 0.08, 0.3
        target = random_poses(1, generator)[0]
        turn = so3.uniform((), generator, torch.float64)
        unit_variances = torch.tensor([0.25, 0.3, 0.35], dtype=torch.float64) ** 2
        precision = turn @ torch.diag(1 / (unit_variances * length**2)) @ turn.T
        x = target.expand(chains, 4, 4)
        angle = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
        weight = torch.exp(-(angle**2) / (2 * spread**2)) * (1 - torch.cos(angle))
        expected = torch.trapezoid(angle**2 * weight, angle) / torch.trapezoid(weight, angle)
        seconds, covariances = [], []
        for move in range(moves):
            x = langevin_step(space, x, body_score(target, x, spread, precision), step, generator)
            if move >= moves // 2 and move % 25 == 0:
                offset = (x[:, :3, 3] - target[:3, 3]) @ turn / length
                covariances.append(offset.T @ offset / chains)
                seconds.append(SO3().local(target[:3, :3], x[:, :3, :3]).square().sum(-1).mean())
        # The step inflates each variance of a normal law by 1/(1 − η²/4s²).
        found = float(torch.stack(seconds).mean()) * (1 - step**2 / (4 * spread**2))
        assert found == pytest.approx(float(expected), rel=0.025)
        inflated = unit_variances / (1 - step**2 / (4 * unit_variances))
        deviations = inflated.sqrt()
        correlation = torch.stack(covariances).mean(0) / (deviations[:, None] * deviations)
        torch.testing.assert_close(
            correlation, torch.eye(3, dtype=torch.float64), rtol=0, atol=0.04
        )
