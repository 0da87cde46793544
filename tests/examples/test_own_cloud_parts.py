"""A user's own network, prior and sampler, plugged in from Python without touching the package."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pcdiff import GeneratorConfig, PointCloudGenerator
from pcdiff.clouds.components import SHIPPED, Choice
from pcdiff.clouds.priors import LatentPrior
from pcdiff.diffusion.samplers import Sampler, State
from pcdiff.errors import InputError
from pcdiff.randomness import normal, seeded


class SetNetwork(nn.Module):
    """Points that see the mean of their cloud: not independent, so no chunks of points."""

    independent_points = False

    def __init__(self, latent: int, width: int = 16) -> None:
        super().__init__()
        self.point = nn.Linear(3 + 3 + 1 + latent, width)
        self.last = nn.Linear(width, 3)

    def forward(self, points: Tensor, log_snr: Tensor, condition) -> Tensor:
        count = points.shape[1]
        mean = points.mean(dim=1, keepdim=True).expand_as(points)
        level = log_snr[:, None, None].expand(-1, count, 1) / 10
        latent = condition.latent[:, None].expand(-1, count, -1)
        features = torch.cat([points, mean, level, latent], dim=2)
        return self.last(torch.tanh(self.point(features)))


class Cube(LatentPrior):
    """A prior that can be drawn from and has no density."""

    def __init__(self, latent: int, half_side: float = 1.0) -> None:
        super().__init__()
        self.latent, self.half_side = latent, half_side

    def sample(self, count, generator, temperature=1.0, device="cpu"):
        spread = temperature * normal((count, self.latent), generator)
        return (self.half_side * torch.erf(spread)).to(device)


@dataclass(frozen=True)
class Jump(Sampler):
    """Goes straight to the denoised cloud at every level."""

    def step(self, manifold, predict, state, target, generator):
        noise = predict(state.x, state.level)
        denoised = (state.x - state.level.sigma * noise) / state.level.alpha
        return State(target.alpha * denoised + target.sigma * noise, target, denoised, state.level)


COMPONENTS = SHIPPED.extended(networks={"set": SetNetwork}, priors={"cube": Cube})
CONFIG = GeneratorConfig(
    latent=4,
    network=Choice("set", {"width": 8}),
    encoder=Choice("pointnet", {"widths": [8, 16]}),
    prior=Choice("cube", {"half_side": 2.0}),
)


def test_own_parts_train_sample_and_come_back_from_a_file(tmp_path):
    model = PointCloudGenerator.initialized(CONFIG, 0, COMPONENTS)
    clouds = 2 * torch.rand((5, 30, 3), generator=seeded(1)) - 1
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for step in range(30):
        loss = model.loss(clouds, seeded(2, step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < sum(losses[:5])

    model.save(tmp_path / "mine.safetensors")
    again = PointCloudGenerator.from_pretrained(tmp_path / "mine.safetensors", COMPONENTS)
    mine, theirs = (
        each.eval().sample(2, 25, seeded(3), 4, Jump()).detach() for each in (model, again)
    )
    assert torch.equal(mine, theirs)


def test_a_network_of_sets_is_equivariant_where_points_are_not_independent():
    model = PointCloudGenerator.initialized(CONFIG, 0, COMPONENTS).eval().requires_grad_(False)
    latent = torch.zeros(1, 4)
    noise = torch.randn((1, 12, 3), generator=seeded(5))
    order = torch.randperm(12, generator=seeded(6))
    log_snr = torch.zeros(1)
    condition = model.condition_on(latent)
    straight = model.network(noise, log_snr, condition)[:, order]
    torch.testing.assert_close(model.network(noise[:, order], log_snr, condition), straight)


class Normalized(SetNetwork):
    """A network with integer and infinite buffers, and a weight under two names."""

    def __init__(self, latent: int, width: int = 16) -> None:
        super().__init__(latent, width)
        self.counted = nn.BatchNorm1d(width)
        self.tied = self.last
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))


def test_buffers_of_any_type_and_tied_weights_come_back(tmp_path):
    components = SHIPPED.extended(networks={"set": Normalized}, priors={"cube": Cube})
    model = PointCloudGenerator.initialized(CONFIG, 0, components)
    model.network.counted.num_batches_tracked.fill_(7)
    model.save(tmp_path / "mine.safetensors")
    again = PointCloudGenerator.from_pretrained(tmp_path / "mine.safetensors", components)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
        assert again.state_dict()[name].dtype == tensor.dtype


class Forgetful(nn.Module):
    """A network that does not say whether it treats points independently."""

    def __init__(self, latent: int, width: int = 16) -> None:
        super().__init__()

    def forward(self, points, log_snr, condition):
        return points[:, :, :1]


class Short(Forgetful):
    """A network whose output would broadcast."""

    independent_points = True


def test_a_part_without_the_interface_of_its_kind_is_refused():
    components = COMPONENTS.extended(networks={"set": Forgetful})
    with pytest.raises(InputError, match=r"Forgetful must have all .* methods of CloudNetwork"):
        PointCloudGenerator(CONFIG, components)


def test_a_network_with_another_number_of_outputs_is_refused():
    model = PointCloudGenerator(CONFIG, COMPONENTS.extended(networks={"set": Short}))
    with pytest.raises(InputError, match=r"one velocity per point, \(5, 30, 3\), got \(5, 30, 1\)"):
        model.loss(torch.zeros(5, 30, 3), seeded(1))


def test_no_prior_can_have_the_name_that_means_no_prior():
    with pytest.raises(InputError, match="the name of a prior must not be 'none'"):
        SHIPPED.extended(priors={"none": Cube})
