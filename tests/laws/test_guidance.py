"""Gradients and guidance against finite differences, over all manifolds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pcdiff.diffusion.guidance import ClassifierFree, Guided, Tempered
from pcdiff.diffusion.samplers import DDIM, sample
from pcdiff.diffusion.schedules import GeometricVarianceExploding, Level, karras_levels
from pcdiff.manifolds import value_and_gradient
from tests.laws.cases import Case, over_manifolds


def wave(points: Tensor, axes: int) -> Tensor:
    """A smooth function of the entries of points."""
    flat = points.flatten(-axes)
    weights = torch.linspace(-1, 1, flat.shape[-1], dtype=points.dtype)
    return torch.sin(flat @ weights) + 0.1 * flat.square().sum(-1)


@over_manifolds
def test_gradient_is_the_slope_along_retract(case: Case, generator: torch.Generator) -> None:
    x, axes = case.draw((2, 3), generator), len(case.point)
    value, gradient = value_and_gradient(lambda at: wave(at, axes), case.manifold, x)
    torch.testing.assert_close(value, wave(x, axes))
    assert not value.requires_grad
    assert not gradient.requires_grad
    numerical = case.slopes(lambda at: wave(at, axes), x[1, 2])
    torch.testing.assert_close(gradient[1, 2], numerical, rtol=1e-6, atol=1e-7)


@over_manifolds
def test_gradient_with_a_graph_can_be_differentiated(
    case: Case, generator: torch.Generator
) -> None:
    x, axes = case.draw((), generator), len(case.point)
    scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)

    def function(at: Tensor) -> Tensor:
        return scale * wave(at, axes)

    value, gradient = value_and_gradient(function, case.manifold, x, keep_graph=True)
    (of_value,) = torch.autograd.grad(value, scale, retain_graph=True)
    (of_gradient,) = torch.autograd.grad(gradient.sum(), scale)
    torch.testing.assert_close(of_value, wave(x, axes))
    torch.testing.assert_close(of_gradient, gradient.sum().detach() / 1.5)


@over_manifolds
def test_guidance_adds_the_gradient_of_the_cost(case: Case, generator: torch.Generator) -> None:
    """ε̂ + σ S^{1/2} ∇C, the gradient by central differences, S from the list of cases."""
    manifold, axes, x = case.manifold, len(case.point), case.draw((2,), generator)
    level = Level(*torch.tensor([[1.0, 1.0], [0.7, 0.3]], dtype=torch.float64))

    def model(x: Tensor, level: Level, condition: Any) -> Tensor:
        return manifold.zero_tangent(x) + condition

    guided = Guided(model, manifold, [lambda at: wave(at, axes), lambda at: 2 * wave(at, axes)])
    for mode in (torch.no_grad(), torch.enable_grad(), torch.inference_mode()):
        with mode:
            found = guided(x.clone(), level, 0.4)
        root = torch.tensor(case.metric, dtype=torch.float64).sqrt()
        for i in range(2):
            slope = 3 * case.slopes(lambda at: wave(at, axes), x[i]).flatten()
            expected = 0.4 + level.sigma[i] * root * slope
            torch.testing.assert_close(found[i].flatten(), expected, rtol=1e-6, atol=1e-6)


@over_manifolds
def test_wrappers_work_in_a_sampler(case: Case, generator: torch.Generator) -> None:
    """A pull to one point, twice as strong by guidance or temperature, gives the same samples."""
    manifold, x = case.manifold, case.draw((4,), generator)
    centre = case.near(x[:1], 0.3, generator)
    levels = karras_levels(GeometricVarianceExploding(0.01, 1.0), 4, 1.0, 0.1)

    def pull(x: Tensor, level: Level, condition: float) -> Tensor:
        offset = -manifold.to_unit(manifold.local(x, centre.expand_as(x)))
        return condition * manifold.over_tangent(level.sigma) * offset

    def cost(at: Tensor) -> Tensor:
        """Its gradient is that of half the squared distance: −S^{-1} local(x, centre)."""
        offset = manifold.to_unit(manifold.local(centre.expand_as(at), at))
        return offset.square().flatten(len(at.shape) - len(case.point)).sum(-1) / 2

    ends = []
    for model in (
        lambda x, level, condition: 2 * pull(x, level, condition),
        Tempered(pull, 0.5),
        Guided(pull, manifold, [cost]),
        ClassifierFree(pull, 1.0, 0.0),
    ):
        *_, last = sample(DDIM(), model, manifold, x, levels, 1.0)
        ends.append(last.x)
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-9, atol=1e-9)
