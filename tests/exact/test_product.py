"""Products of spaces against their factors, computed one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pcdiff.diffusion.process import posterior
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.manifolds import SE3, SO3, Euclidean, Power, Product

CENTRE = torch.tensor([0.4, -1.0, 2.0])
HAND = Product((SE3(0.1), Euclidean(1)), ((4, 4), (2,)))
FLAT = Product((Euclidean(2), Power(Euclidean(1))), ((2, 3), (4, 1)))


def hands(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Poses and pairs of numbers."""
    poses = SE3(0.1).random((count, 4, 4), 1.0, generator, CENTRE, torch.float64)
    return poses, torch.randn(count, 2, dtype=torch.float64, generator=generator)


class TestProduct:
    def test_split_undoes_join(self, generator: torch.Generator) -> None:
        poses, numbers = hands(6, generator)
        x = HAND.join(poses, numbers)
        assert x.shape == (6, HAND.size) == (6, 18)
        assert x[:, 16:].equal(numbers)
        assert all(one.equal(two) for one, two in zip(HAND.split(x), (poses, numbers), strict=True))
        v = torch.randn(6, 8, dtype=torch.float64, generator=generator)
        twist, change = HAND.split_tangent(v)
        assert twist.equal(v[:, :6])
        assert HAND.join_tangent(twist, change).equal(v)

    def test_each_factor_moves_by_itself(self, generator: torch.Generator) -> None:
        poses, numbers = hands(6, generator)
        v = torch.randn(6, 8, dtype=torch.float64, generator=generator)
        moved, shifted = HAND.split(HAND.retract(HAND.join(poses, numbers), v))
        assert moved.equal(SE3(0.1).retract(poses, v[:, :6]))
        assert shifted.equal(numbers + v[:, 6:])

    def test_random_draws_each_factor_about_its_centre(self) -> None:
        centre = torch.tensor([5.0, -5.0])
        x = HAND.random((3, 18), 0.5, torch.Generator().manual_seed(1), (CENTRE, centre))
        stream = torch.Generator().manual_seed(1)
        poses = SE3(0.1).random((3, 4, 4), 0.5, stream, CENTRE)
        numbers = Euclidean(1).random((3, 2), 0.5, stream, centre)
        assert x.equal(HAND.join(poses, numbers))

    def test_random_refuses_wrong_centres_and_sizes(self, generator: torch.Generator) -> None:
        with pytest.raises(InputError, match="a sequence of 2 centres, one per factor, got Tensor"):
            HAND.random((3, 18), 0.5, generator, CENTRE)
        with pytest.raises(InputError, match=r"a sequence of 2 centres.*got tuple of length 1"):
            HAND.random((3, 18), 0.5, generator, (CENTRE,))
        with pytest.raises(InputError, match=r"needs 18 entries per point, got shape \(3, 17\)"):
            HAND.random((3, 17), 0.5, generator, (CENTRE, None))
        with pytest.raises(InputError, match="need the centre of the object"):
            HAND.random((3, 18), 0.5, generator)

    @pytest.mark.parametrize(
        ("factors", "shapes"),
        [((), ()), ((SO3(),), ((3, 3), (1,))), ((SO3(), Euclidean(1)), ((3, 3), (1, 1)))],
    )
    def test_factors_and_shapes_must_match(self, factors: tuple, shapes: tuple) -> None:
        with pytest.raises(InputError, match="one point shape per factor"):
            Product(factors, shapes)

    def test_is_flat_and_has_a_length_if_its_factors_do(self) -> None:
        assert FLAT.is_flat
        assert not HAND.is_flat
        assert FLAT.length == 1
        assert Product((SE3(0.2), Power(SE3(0.2))), ((4, 4), (3, 4, 4))).length == 0.2

    def test_flat_products_have_a_posterior(self, generator: torch.Generator) -> None:
        x, x0 = torch.randn(2, 5, 10, dtype=torch.float64, generator=generator)
        levels = Level(*torch.tensor([[0.6, 0.9], [0.8, 0.4]], dtype=torch.float64)).each()
        level, earlier = levels
        found = posterior(FLAT, x, x0, level, earlier)
        expected = posterior(Euclidean(1), x, x0, level, earlier)
        assert all(one.equal(two) for one, two in zip(found, expected, strict=True))


class TestPower:
    def test_each_copy_moves_by_itself(self, generator: torch.Generator) -> None:
        space, path = SE3(0.1), Power(SE3(0.1))
        x = path.random((2, 5, 4, 4), 1.0, generator, CENTRE)
        v = path.tangent_noise(x, generator)
        assert path.tangent_shape((5, 4, 4)) == (5, 6)
        moved = path.retract(x, v)
        for copy in range(5):
            torch.testing.assert_close(moved[:, copy], space.retract(x[:, copy], v[:, copy]))

    def test_one_centre_per_copy(self, generator: torch.Generator) -> None:
        centres = torch.linspace(-50, 50, 5)[:, None].expand(5, 3)
        x = Power(SE3(0.1)).random((2, 5, 4, 4), 1.0, generator, centres)
        assert (x[..., :3, 3] - centres).abs().max() < 1

    def test_is_as_flat_as_its_factor(self) -> None:
        assert Power(Euclidean(1)).is_flat
        assert not Power(SO3()).is_flat
        assert Power(SE3(0.3)).length == 0.3
