"""SO(3) against the matrix exponential, closed forms, SciPy and Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from pcdiff.diffusion.samplers import langevin_step
from pcdiff.manifolds import SO3, so3
from tests.laws.cases import wrapped_normal

SWEEP = [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, math.pi - 1e-3]
IDENTITY = torch.eye(3, dtype=torch.float64)


def axes(count: int, generator: torch.Generator) -> Tensor:
    """The coordinate axes, an axis in a coordinate plane, and random ones."""
    special = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, 3, -4]])
    drawn = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    return torch.nn.functional.normalize(torch.cat([special.double(), drawn]), dim=-1)


def tilted(angle: Tensor) -> Tensor:
    """Rotations by `angle` about an axis in general position."""
    axis = torch.tensor([0.48, -0.6, 0.64], dtype=torch.float64)
    return so3.exp(angle[..., None] * axis)


def level(sigma: float) -> Tensor:
    """A noise level in float64, because rounding to float32 would show in these tests."""
    return torch.tensor(sigma, dtype=torch.float64)


def haar_moment(weight: Tensor, angle: Tensor, value: Tensor) -> float:
    """∫ value · weight · (1 − cos θ) / ∫ weight · (1 − cos θ) on a fine grid of angles."""
    weight = weight * (1 - torch.cos(angle))
    return float(torch.trapezoid(value * weight, angle) / torch.trapezoid(weight, angle))


class TestExponentialAndLogarithm:
    @pytest.mark.parametrize("angle", SWEEP)
    @pytest.mark.parametrize(
        ("dtype", "exp_error", "log_error"),
        [(torch.float32, 1e-6, 1e-5), (torch.float64, 1e-13, 1e-13)],
        ids=str,
    )
    def test_sweep_against_the_matrix_exponential(
        self,
        angle: float,
        dtype: torch.dtype,
        exp_error: float,
        log_error: float,
        generator: torch.Generator,
    ) -> None:
        omega = (angle * axes(300, generator)).to(dtype)
        exact = torch.linalg.matrix_exp(so3.hat(omega.double()))
        rotation = so3.exp(omega)
        assert rotation.dtype == dtype
        assert (rotation - exact).abs().max() <= exp_error
        assert (so3.log(exact.to(dtype)) - omega).abs().max() <= log_error
        # A relative bound as well: no digits are lost near the identity.
        relative = 10 * torch.finfo(dtype).eps * angle
        assert (so3.log(rotation) - omega).abs().max() <= relative

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    @pytest.mark.parametrize("gap", [1e-4, 1e-6, 0.0])
    def test_log_close_to_half_a_turn_is_right_up_to_the_sign(
        self, dtype: torch.dtype, gap: float, generator: torch.Generator
    ) -> None:
        axis = axes(300, generator)
        exact = torch.linalg.matrix_exp(so3.hat((math.pi - gap) * axis))
        omega = so3.log(exact.to(dtype)).double()
        sign = torch.sign((omega * axis).sum(-1, keepdim=True))
        error = (sign * omega - (math.pi - gap) * axis).abs().max()
        assert error <= (1e-6 if dtype == torch.float32 else 1e-13)
        if gap >= 1e-4:
            assert (sign == 1).all()

    def test_log_of_an_exact_half_turn(self, generator: torch.Generator) -> None:
        axis = axes(300, generator)
        omega = so3.log(2 * axis[:, :, None] * axis[:, None, :] - IDENTITY)
        assert ((omega * axis).sum(-1).abs() - math.pi).abs().max() < 1e-13

    def test_long_rotation_vectors_wrap(self, generator: torch.Generator) -> None:
        axis = axes(50, generator)
        omega = so3.log(so3.exp((2 * math.pi + 0.3) * axis))
        torch.testing.assert_close(omega, 0.3 * axis, rtol=0, atol=1e-13)

    def test_against_scipy(self, generator: torch.Generator) -> None:
        rotation = so3.uniform((500,), generator, torch.float64)
        scipy = Rotation.from_matrix(rotation.numpy())
        np.testing.assert_allclose(so3.log(rotation), scipy.as_rotvec(), atol=1e-12)
        quaternion_xyzw = so3.to_quaternion(rotation)
        np.testing.assert_allclose(quaternion_xyzw, scipy.as_quat(canonical=True), atol=1e-12)
        drawn = 3 * torch.randn(500, 4, dtype=torch.float64, generator=generator)
        expected = Rotation.from_quat(drawn.numpy()).as_matrix()
        np.testing.assert_allclose(so3.from_quaternion(drawn), expected, atol=1e-13)

    def test_hat_is_the_cross_product_and_vee_its_inverse(self, generator: torch.Generator) -> None:
        v, u = torch.randn(2, 20, 3, dtype=torch.float64, generator=generator)
        product = (so3.hat(v) @ u[..., None])[..., 0]
        torch.testing.assert_close(product, torch.linalg.cross(v, u))
        assert so3.vee(so3.hat(v)).equal(v)


class TestDerivatives:
    """Finite differences and closed forms in float64; float32 against float64."""

    ANGLES = (0.0, 1e-9, 1e-5, 1e-2, 1.0 - 1e-9, 1.0 + 1e-9, 2.0, math.pi - 1e-3)

    @pytest.mark.parametrize("angle", [*ANGLES, math.pi, 5.0])
    def test_exp(self, angle: float) -> None:
        axis = torch.tensor([[0.48, -0.6, 0.64], [0.0, 0.0, 1.0]], dtype=torch.float64)
        omega = (angle * axis).requires_grad_()
        assert torch.autograd.gradcheck(so3.exp, omega)
        assert torch.autograd.gradgradcheck(so3.exp, omega)

    @pytest.mark.parametrize("angle", ANGLES)
    def test_log(self, angle: float) -> None:
        axis = torch.tensor([[0.48, -0.6, 0.64], [0.0, 0.0, 1.0]], dtype=torch.float64)
        rotation = so3.exp(angle * axis).requires_grad_()
        assert torch.autograd.gradcheck(so3.log, rotation)
        assert torch.autograd.gradgradcheck(so3.log, rotation)

    def test_the_second_derivative_of_exp_at_zero_is_that_of_the_series(self) -> None:
        """∂ᵢ∂ⱼ exp(ω̂) = (GᵢGⱼ + GⱼGᵢ)/2 at 0, where the Gᵢ are the generators."""
        generators = so3.hat(IDENTITY)
        product = torch.einsum("iab,jbc->acij", generators, generators)
        zero = torch.zeros(3, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(so3.exp, zero)
        torch.testing.assert_close(jacobian, generators.permute(1, 2, 0), rtol=0, atol=1e-15)
        hessian = torch.autograd.functional.jacobian(
            lambda v: torch.autograd.functional.jacobian(so3.exp, v, create_graph=True), zero
        )
        expected = (product + product.transpose(2, 3)) / 2
        torch.testing.assert_close(hessian, expected, rtol=0, atol=1e-15)

    @pytest.mark.parametrize("angle", SWEEP)
    def test_log_along_a_motion_is_the_inverse_right_jacobian(self, angle: float) -> None:
        """d Log(R·Exp(v))/dv = I + ω̂/2 + (1/θ² − (1+cos θ)/(2θ sin θ)) ω̂² (Solà et al. 2018)."""
        omega = angle * torch.tensor([0.48, -0.6, 0.64], dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(
            lambda v: so3.log(so3.exp(omega) @ so3.exp(v)), torch.zeros(3, dtype=torch.float64)
        )
        turn = so3.hat(omega)
        second = 1 / 12  # the limit; its factor θ² makes it accurate to 1e-13 up to θ = 1e-3
        if angle > 1e-3:
            second = 1 / angle**2 - (1 + math.cos(angle)) / (2 * angle * math.sin(angle))
        expected = IDENTITY + turn / 2 + second * turn @ turn
        torch.testing.assert_close(jacobian, expected, rtol=0, atol=1e-11)

    @pytest.mark.parametrize("angle", [*SWEEP, math.pi, 4.0, 100.0])
    def test_exp_in_float32(self, angle: float, generator: torch.Generator) -> None:
        axis = axes(20, generator)
        target = torch.randn(3, 3, dtype=torch.float64, generator=generator)
        omega32 = (angle * axis).float()

        def derivatives(omega: Tensor) -> tuple[Tensor, Tensor]:
            omega = omega.requires_grad_()
            value = (target.to(omega) * so3.exp(omega)).sum()
            (slope,) = torch.autograd.grad(value, omega, create_graph=True)
            (curve,) = torch.autograd.grad((axis.flip(-1).to(omega) * slope).sum(), omega)
            return slope.detach(), curve

        for found, exact in zip(derivatives(omega32), derivatives(omega32.double()), strict=True):
            torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-5)

    @pytest.mark.parametrize("angle", SWEEP)
    def test_log_in_float32(self, angle: float, generator: torch.Generator) -> None:
        axis = axes(20, generator)
        rotation32 = so3.exp((angle * axis).float())

        def derivatives(rotation: Tensor) -> tuple[Tensor, Tensor]:
            v = torch.zeros(len(axis), 3, dtype=rotation.dtype, requires_grad=True)
            value = (axis.flip(0).to(v) * so3.log(rotation @ so3.exp(v))).sum()
            (slope,) = torch.autograd.grad(value, v, create_graph=True)
            (curve,) = torch.autograd.grad((axis.flip(-1).to(v) * slope).sum(), v)
            return slope.detach(), curve

        for found, exact in zip(
            derivatives(rotation32), derivatives(rotation32.double()), strict=True
        ):
            torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-5)


class TestWrappedNormal:
    """The law of mean·Exp(σε), its density and its score."""

    @pytest.mark.parametrize("sigma", [1e-3, 0.05, 0.3, 0.7, 1.0, 2.0, 10.0, 30.0])
    def test_the_density_integrates_to_one(self, sigma: float) -> None:
        """Gauss–Legendre quadrature over the angle, with Haar measure (1 − cos θ)/π dθ."""
        end = min(math.pi, 12 * sigma)
        nodes, weights = np.polynomial.legendre.leggauss(100)
        angle = torch.as_tensor((nodes + 1) * end / 2)
        density = SO3().log_kernel(IDENTITY, tilted(angle), level(sigma)).exp()
        haar = 2 * torch.sin(angle / 2) ** 2 / math.pi
        total = (torch.as_tensor(weights) * end / 2 * density * haar).sum()
        assert float(total) == pytest.approx(1, abs=1e-9)

    @pytest.mark.parametrize("sigma", [0.4, 1.0, 2.0])
    def test_draws_follow_the_density(self, sigma: float, generator: torch.Generator) -> None:
        """The largest gap between the distribution functions of the angle (Kolmogorov–Smirnov)."""
        count = 50_000
        mean = so3.uniform((), generator, torch.float64)
        space = SO3()
        x = mean.expand(count, 3, 3)
        x = space.retract(x, sigma * space.tangent_noise(x, generator))
        drawn = space.local(mean, x).norm(dim=-1).sort().values
        grid = torch.linspace(1e-6, math.pi, 4001, dtype=torch.float64)
        density = space.log_kernel(IDENTITY, tilted(grid), level(sigma)).exp()
        below = torch.cumulative_trapezoid(density * (1 - torch.cos(grid)) / math.pi, grid)
        expected = np.interp(drawn.numpy(), grid[1:].numpy(), below.numpy())
        gap = np.abs(expected - np.arange(1, count + 1) / count).max()
        assert gap < 2 / math.sqrt(count)  # the 0.07 % point of Kolmogorov's distribution

    @pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0, 9.0])
    def test_log_kernel_against_two_independent_series(self, sigma: float) -> None:
        """The sum over turns, and its Fourier series by Poisson's formula, term by term.

        p = Σₙ (1 − n²σ²) e^{−n²σ²/2} cos nθ / (1 − cos θ) over all integers n, because
        x² e^{−x²/2σ²} has the Fourier transform √(2π) σ³ (1 − n²σ²) e^{−n²σ²/2}.
        """
        for angle in (0.2, 0.9, 1.7, 2.6, math.pi):
            waves = 1.0
            for n in range(1, 60):
                decay = (1 - (n * sigma) ** 2) * math.exp(-((n * sigma) ** 2) / 2)
                waves += 2 * decay * math.cos(n * angle)
            x = tilted(torch.tensor(angle, dtype=torch.float64))
            found = float(SO3().log_kernel(IDENTITY, x, level(sigma)))
            assert found == pytest.approx(float(wrapped_normal(IDENTITY, x, sigma)), abs=1e-11)
            expected = math.log(waves / (1 - math.cos(angle)))
            # At small σ the waves cancel where p is small; their sum has an error of about 1e-15.
            assert found == pytest.approx(expected, abs=1e-11 + 1e-13 / waves)

    @pytest.mark.parametrize("sigma", [0.05, 0.4, 1.0, 3.0])
    def test_the_reference_integrates_to_one(self, sigma: float) -> None:
        """∫ p dHaar = 1 also for the reference, by quadrature over the angle."""
        end = min(math.pi, 12 * sigma)
        nodes, weights = np.polynomial.legendre.leggauss(60)
        total = 0.0
        for node, weight in zip(nodes, weights, strict=True):
            angle = (node + 1) * end / 2
            x = tilted(torch.tensor(angle, dtype=torch.float64))
            density = math.exp(float(wrapped_normal(IDENTITY, x, sigma)))
            total += weight * end / 2 * density * (1 - math.cos(angle)) / math.pi
        assert total == pytest.approx(1, abs=1e-7)

    def test_further_turns_change_nothing(self, generator: torch.Generator) -> None:
        """Under vmap, where values cannot be read, more turns are summed than usual on the CPU."""
        for dtype in (torch.float32, torch.float64):
            mean, x = (so3.uniform((200,), generator, dtype) for _ in range(2))
            for sigma in (0.01, 0.3, 1.2, 4.0):
                each = torch.full((200,), sigma, dtype=dtype)
                for function in (SO3().kernel_score, SO3().log_kernel):
                    found, expected = torch.vmap(function)(mean, x, each), function(mean, x, each)
                    tolerance = 4 * torch.finfo(dtype).eps
                    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)

    @pytest.mark.parametrize("sigma", [1e-3, 0.1, 0.5, 0.7, 1.0, 2.0, 5.0, 10.0, 20.0])
    def test_score_against_the_numerical_gradient(
        self, sigma: float, generator: torch.Generator
    ) -> None:
        """Differences along three body axes, at rotations up to half a turn from the mean."""
        space = SO3()
        angle = torch.cat([sigma * torch.tensor([0.3, 1.0, 3.0]), torch.tensor([0.05, 0.5, 2, 3])])
        angle = angle[angle < 3.1].double()
        mean = so3.uniform((), generator, torch.float64)
        x = mean @ tilted(angle)
        step = 1e-5 * min(sigma, 1)
        slopes = [
            space.log_kernel(mean, space.retract(x, v.expand(len(x), 3)), level(sigma))
            - space.log_kernel(mean, space.retract(x, -v.expand(len(x), 3)), level(sigma))
            for v in step * IDENTITY
        ]
        numerical = torch.stack(slopes, dim=-1) / (2 * step)
        score = space.kernel_score(mean, x, level(sigma))
        scale = score.norm(dim=-1, keepdim=True) + 1
        assert ((score - numerical) / scale).abs().max() < 2e-7

    @pytest.mark.parametrize(("sigma", "naive_error"), [(0.5, 8), (1.0, 25)])
    def test_score_satisfies_steins_identity_on_draws(
        self, sigma: float, naive_error: float, generator: torch.Generator
    ) -> None:
        """E[sᵢ f + ∂ᵢ f] = 0 for f = 1 and all nine entries of R, without using the density.

        With the naive target −ω/σ² the largest mean is many standard errors away from 0.
        """
        space, count = SO3(), 100_000
        mean = so3.uniform((), generator, torch.float64).expand(count, 3, 3)
        omega = sigma * space.tangent_noise(mean, generator)
        x = space.retract(mean, omega)
        slope = x[:, None] @ so3.hat(IDENTITY)

        def standardised(score: Tensor) -> Tensor:
            terms = torch.cat(
                [score, (score[..., None, None] * x[:, None] + slope).flatten(1)], dim=1
            )
            return terms.mean(0) / terms.std(0) * math.sqrt(count)

        score = space.kernel_score(mean, x, level(sigma).expand(count))
        assert standardised(score).abs().max() < 4
        assert standardised(-space.local(mean, x) / sigma**2).abs().max() > naive_error

    def test_small_noise_reduces_to_the_unwrapped_score(self) -> None:
        angle = torch.tensor([1e-6, 1e-3, 0.1, 0.8, 1.5], dtype=torch.float64)
        for sigma in (1e-3, 0.05, 0.3):
            found = SO3().kernel_score(IDENTITY, tilted(angle), level(sigma))
            omega = so3.log(tilted(angle))
            volume = torch.sin(angle) / (1 - torch.cos(angle)) - 2 / angle
            volume[:2] = -angle[:2] / 6  # the limit, because the closed form loses all digits there
            expected = -omega / sigma**2 - (volume / angle)[:, None] * omega
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)

    def test_the_naive_target_is_a_fifth_too_large_at_one_radian_of_noise(self) -> None:
        omega = torch.tensor([0.3, 0.0, 0.0], dtype=torch.float64)
        score = SO3().kernel_score(IDENTITY, so3.exp(omega), level(1.0))
        assert float(-omega[0] / score[0]) == pytest.approx(1.2, abs=1e-3)

    def test_wide_noise_tends_to_a_uniform_angle(self) -> None:
        """p → 1/(1 − cos θ), whose score is −cot(θ/2), which is not the uniform rotation."""
        angle = torch.linspace(0.1, 3.1, 20, dtype=torch.float64)
        for sigma in (8.0, 10.0, 1000.0):
            density = SO3().log_kernel(IDENTITY, tilted(angle), level(sigma))
            torch.testing.assert_close(density, -torch.log(1 - torch.cos(angle)), atol=1e-9, rtol=0)
            score = SO3().kernel_score(IDENTITY, tilted(angle), level(sigma)).norm(dim=-1)
            torch.testing.assert_close(score, 1 / torch.tan(angle / 2), atol=1e-9, rtol=0)

    @pytest.mark.parametrize("sigma", [1e-3, 0.03, 0.3, 1.0, 3.0, 10.0])
    def test_float32_against_float64(self, sigma: float, generator: torch.Generator) -> None:
        angle = torch.cat(
            [torch.logspace(-3, 0, 30), torch.linspace(1, math.pi - 1e-3, 30)]
        ).double()
        rotation = tilted(angle).float()
        sigma32 = torch.tensor(sigma)
        found = SO3().kernel_score(torch.eye(3), rotation, sigma32)
        exact = SO3().kernel_score(IDENTITY, rotation.double(), sigma32.double())
        # Log has an error of about 1e-7, which the slope of the score multiplies. The slope is
        # 1/σ² + 2/θ², plus π²/σ⁴ where two turns swap, at |π − θ| of order σ²/π.
        swap = (math.pi / sigma**2) ** 2 * torch.exp(-2 * math.pi * (math.pi - angle) / sigma**2)
        slope = (1 / sigma**2 + 2 / angle**2 + swap)[:, None]
        assert ((found - exact) / slope).abs().max() < 2e-6
        log_found = SO3().log_kernel(torch.eye(3), rotation, sigma32)
        log_exact = SO3().log_kernel(IDENTITY, rotation.double(), sigma32.double())
        assert ((log_found - log_exact) / (1 + log_exact.abs())).abs().max() < 1e-5

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    @pytest.mark.parametrize("sigma", [1e-3, 0.1, 0.7, 1.0, 3.0, 10.0])
    def test_score_vanishes_at_the_mean_and_at_half_a_turn(
        self, dtype: torch.dtype, sigma: float
    ) -> None:
        mean, sigma_ = torch.eye(3, dtype=dtype), torch.tensor(sigma, dtype=dtype)
        at_mean = SO3().kernel_score(mean, mean, sigma_)
        assert at_mean.equal(torch.zeros(3, dtype=dtype))
        assert SO3().log_kernel(mean, mean, sigma_).isfinite()
        half_turn = torch.diag(torch.tensor([-1.0, -1, 1], dtype=dtype))
        score = SO3().kernel_score(mean, half_turn, sigma_)
        # As above, rounding π moves the score by up to π²/σ⁴ · ε, but by no more than π/σ².
        slope = min(1 + (math.pi / sigma**2) ** 2, math.pi / sigma**2 / torch.finfo(dtype).eps)
        assert score.abs().max() <= 2 * torch.finfo(dtype).eps * slope

    def test_ratio_to_the_heat_kernel(self) -> None:
        """For small σ, heat kernel / wrapped normal = e^{σ²/8} sin(θ/2)/(θ/2), exactly.

        The heat kernel Σ (2l+1) e^{−l(l+1)σ²/2} sin((l+½)θ)/sin(θ/2) is, by Poisson summation, a
        sum over the same preimages, only one of which matters here. So at θ of order σ the two laws
        differ by order σ².
        """
        for sigma in (0.1, 0.2, 0.3):
            angle = sigma * torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
            degree = torch.arange(300, dtype=torch.float64)[:, None]
            decay = torch.exp(-degree * (degree + 1) * sigma**2 / 2)
            waves = torch.sin((degree + 0.5) * angle) / torch.sin(angle / 2)
            heat = ((2 * degree + 1) * decay * waves).sum(0)
            wrapped = SO3().log_kernel(IDENTITY, tilted(angle), level(sigma)).exp()
            expected = math.exp(sigma**2 / 8) * torch.sin(angle / 2) / (angle / 2)
            torch.testing.assert_close(heat / wrapped, expected, rtol=1e-9, atol=0)
            assert (heat / wrapped - 1).abs()[:4].max() < sigma**2 / 6


class TestUniform:
    def test_the_angle_follows_haar_measure(self, generator: torch.Generator) -> None:
        """P(angle < θ) = (θ − sin θ)/π."""
        count = 50_000
        rotation = SO3().random((count, 3, 3), 0.3, generator, dtype=torch.float64)
        angle = so3.log(rotation).norm(dim=-1).sort().values
        expected = (angle - torch.sin(angle)) / math.pi
        assert (expected - torch.arange(1, count + 1) / count).abs().max() < 2 / math.sqrt(count)

    def test_moments(self, generator: torch.Generator) -> None:
        """E[R_ij] = 0 and E[R_ij R_kl] = δ_ik δ_jl / 3."""
        count = 50_000
        entries = so3.uniform((count,), generator, torch.float64).flatten(1)
        assert entries.mean(0).abs().max() < 5 / math.sqrt(3 * count)
        second = entries.T @ entries / count
        expected = torch.eye(9, dtype=torch.float64) / 3
        torch.testing.assert_close(second, expected, rtol=0, atol=5 / math.sqrt(5 * count))

    def test_has_no_centre(self, generator: torch.Generator) -> None:
        with pytest.raises(ValueError, match=r"no centre.*got a tensor of shape \(3, 3\)"):
            SO3().random((5, 3, 3), 1.0, generator, centre=torch.eye(3))


@pytest.mark.parametrize(
    ("spread", "step", "moves", "known"), [(0.3, 0.08, 250, 0.2660), (1.0, 0.25, 250, None)]
)
def test_langevin_is_stationary_away_from_the_identity(
    spread: float, step: float, moves: int, known: float | None, generator: torch.Generator
) -> None:
    """E[θ²] under p ∝ exp(−θ²/2s²) with Haar measure, where θ is the angle from a mean M ≠ I.

    The gradient of θ²/2 in the body frame is Log(MᵀR). A drift in log coordinates, a step on the
    wrong side or a factor of two in the noise misses by far more than the tolerance. All chains
    start from one rotation 0.5 rad from M, so the test also sees whether they converge.
    """
    angle = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
    expected = haar_moment(torch.exp(-(angle**2) / (2 * spread**2)), angle, angle**2)
    if known is not None:
        assert expected == pytest.approx(known, abs=5e-5)
    mean = tilted(torch.tensor(2.5, dtype=torch.float64))
    space, chains = SO3(), 4000
    x = space.retract(mean, torch.tensor([0.0, 0.5, 0.0]).double()).expand(chains, 3, 3)
    moments = []
    for move in range(moves):
        score = -space.local(mean, x) / spread**2
        x = langevin_step(space, x, score, step, generator)
        if move >= moves // 2 and move % 25 == 0:
            moments.append(space.local(mean, x).square().sum(-1).mean())
    # The step inflates the variance of a normal law by 1/(1 − η²/4s²), here 1.8 % and 1.6 %.
    corrected = float(torch.stack(moments).mean()) * (1 - step**2 / (4 * spread**2))
    assert corrected == pytest.approx(expected, rel=0.02)
