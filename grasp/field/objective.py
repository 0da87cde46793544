"""The training objective of a `GraspField`, which draws grasps and computes their losses."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.configuration import PAPER
from grasp.field.items import Item, Tried
from grasp.field.model import KIND, Condition
from grasp.field.networks.probes import Probes
from grasp.field.networks.surface import Surface
from grasp.field.trained import GraspField
from grasp.poses.frames import HALF_TURN
from pcdiff.randomness import seeded

ENERGY, SUCCESS = NETWORKS = ("energy", "success")
"""Names of the two networks. The networks share no weights, so one can be trained alone."""

OTHERS = 32
"""Number of further successful grasps per item. They reduce the denoising target's variance."""

CONTRASTED = 0.1
"""Largest noise level σ at which the energy learns to tell successes from failures. The blur of
higher levels hides most differences between them."""

_QUERIES = 256  # number of places per item and step where the "paper" network learns distances

_EXAMPLES = 256  # largest number of items from which the scales of the inputs are computed


@dataclass(frozen=True)
class EnergyLoss:
    """Settings of the loss of the energy network.

    Attributes:
        tail: Share of the grasps that are noised beyond the level that the network is told, so that
            it also learns places far from all grasps; see `pcdiff.diffusion.losses.denoising_loss`.
        contrast: Weight of the loss by which the energy tells successes from failures; see
            `FieldModel.contrast_loss`.
    """

    tail: float = 0.0
    contrast: float = 0.0


PLAIN = EnergyLoss()
"""Denoising score matching alone, as in SE(3)-DiffusionFields."""


class FieldObjective:
    """The training `Objective` of a grasp field.

    Args:
        model: Grasp field to train.
        train: Labelled grasps to train on.
        validation: Labelled grasps of other objects for validation.
        grasps: Number of grasps drawn per item and step, for each network.
        networks: Names of the networks to train; a subset of `NETWORKS`.
        energy: Settings of the loss of the energy network.
        origin: Further facts to store with the weights, such as the source of the labels; None for
            no facts.
    """

    kind = KIND

    def __init__(
        self,
        model: GraspField,
        train: Sequence[Item],
        validation: Sequence[Item],
        grasps: int = 16,
        networks: Collection[str] = NETWORKS,
        energy: EnergyLoss = PLAIN,
        origin: dict[str, Any] | None = None,
    ) -> None:
        self.energy = energy
        self.model, self.train, self.validation, self.grasps = model, train, validation, grasps
        self.networks = tuple(name for name in NETWORKS if name in networks)
        self.size = len(train)
        digest = hashlib.sha256()
        for item in (*train, *validation):
            for tried in (item.candidates, item.samples):
                if tried is not None:
                    digest.update(tried.poses.numpy().tobytes() + tried.success.numpy().tobytes())
        self.description: dict[str, Any] = {
            "model": model.config.as_dict(),
            "data": {
                "sha256": digest.hexdigest(),
                "items": len(train),
                "labels": sum(len(item.candidates.poses) for item in train),
                "labelled_samples": sum(
                    len(item.samples.poses) for item in train if item.samples is not None
                ),
                "validation_items": len(validation),
                "grasps": grasps,
                "networks": list(self.networks),
                **asdict(energy),
            },
            "origin": dict(origin or {}),
        }

    def standardize(self, seed: int) -> None:
        """Set the scales of an untrained model's inputs from training examples.

        Args:
            seed: Seed for drawing the grasps and the noise.
        """
        some = [item for item in self.train if item.has_grasps]
        order = torch.randperm(len(some), generator=seeded(seed))[:_EXAMPLES].tolist()
        items = [some[place] for place in order]
        drawn = [draw_held(item, self.grasps, seeded(seed, n)) for n, item in enumerate(items)]
        surfaces = [item.surfaces[place % len(item.surfaces)] for place, item in enumerate(items)]
        about = [_about(held, surface) for held, surface in zip(drawn, surfaces, strict=True)]
        self.model.standardize(torch.stack(about), _condition(surfaces, items), seeded(seed, 0))

    def loss(
        self, model: nn.Module, items: list[int], generators: list[torch.Generator]
    ) -> dict[str, Tensor]:
        """Compute the loss on the training items with the given indices; see `Objective.loss`."""
        return self._loss(model, [self.train[item] for item in items], generators)

    def validation_loss(self, model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        """Compute the loss on all validation items; see `Objective.validation_loss`."""
        seed = int(torch.randint(2**31, (), generator=generator))
        generators = [seeded(seed, place) for place in range(len(self.validation))]
        return self._loss(model, self.validation, generators)

    def _loss(
        self, model: nn.Module, items: Sequence[Item], generators: list[torch.Generator]
    ) -> dict[str, Tensor]:
        field = cast(GraspField, model)
        device = next(field.parameters()).device
        surfaces = [
            item.surfaces[int(torch.randint(len(item.surfaces), (), generator=generator))]
            for item, generator in zip(items, generators, strict=True)
        ]
        condition = _condition(surfaces, items)
        condition = Condition(
            condition.surface.to(device), Probes(*(each.to(device) for each in condition.probes))
        )
        parts: dict[str, Tensor] = {}
        if ENERGY in self.networks:
            held = torch.stack(
                [
                    _about(draw_held(item, self.grasps + OTHERS, generator), surface)
                    for item, generator, surface in zip(items, generators, surfaces, strict=True)
                ]
            ).to(device)
            others = held[:, self.grasps :]
            others = torch.cat([others, others * others.new_tensor(HALF_TURN)], dim=1)
            parts["denoising"] = field.denoising_loss(
                held[:, : self.grasps],
                others,
                condition,
                generators,
                torch.tensor([float(item.has_grasps) for item in items], device=device),
                self.energy.tail,
            )
            if field.config.architecture == PAPER:
                known = [
                    item.distances[torch.randint(len(item.distances), (_QUERIES,), generator=g)]
                    for item, g in zip(items, generators, strict=True)
                ]
                distances = torch.stack(known).to(device)
                parts["distance"] = field.distance_loss(
                    distances[..., :3] - condition.surface.centre[:, None],
                    distances[..., 3],
                    condition,
                )
        contrast = ENERGY in self.networks and self.energy.contrast > 0
        if contrast or SUCCESS in self.networks:
            drawn = [
                draw_tried(item, self.grasps, generator)
                for item, generator in zip(items, generators, strict=True)
            ]
            tried = torch.stack(
                [_about(each.poses, s) for each, s in zip(drawn, surfaces, strict=True)]
            ).to(device)
            success = torch.stack([each.success.float() for each in drawn]).to(device)
        if contrast:
            least = field.schedule.sigma_min
            places = [torch.rand(self.grasps, generator=generator) for generator in generators]
            sigma = least * (CONTRASTED / least) ** torch.stack(places).to(device)
            parts["contrast"] = self.energy.contrast * field.contrast_loss(
                tried, success, sigma, condition
            )
        if SUCCESS in self.networks:
            load = torch.stack([each.squared_load for each in drawn]).to(device)
            parts["cross_entropy"] = field.success_loss(tried, success, load, condition)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def draw_held(item: Item, count: int, generator: torch.Generator) -> Float[Tensor, "count 4 4"]:
    """Draw successful grasps with replacement, and turn each grasp by π with probability ½.

    The axis of the turn is the approach axis of the grasp.

    Args:
        item: Labelled grasps. If `has_grasps` is false, the grasps are drawn from all candidates;
            the weight of the item in the loss is then 0.
        count: Number of grasps.
        generator: Source of randomness.

    Returns:
        Poses `T_object_grasp`, translations in metres.
    """
    held = item.held if item.has_grasps else item.candidates.poses
    return _turned(held[torch.randint(len(held), (count,), generator=generator)], generator)


def draw_tried(item: Item, count: int, generator: torch.Generator) -> Tried:
    """Draw successful and failed grasps, and turn each grasp by π with probability ½.

    The axis of the turn is the approach axis of the grasp.

    Args:
        item: Labelled grasps. One half of the drawn grasps are candidates, the other half are
            samples of a field. If the item has no samples, all drawn grasps are candidates.
        count: Number of grasps, drawn with replacement.
        generator: Source of randomness.
    """
    groups = [item.candidates] if item.samples is None else [item.candidates, item.samples]
    parts = []
    for share, group in enumerate(groups):
        some = (count + share) // len(groups)
        places = torch.randint(len(group.poses), (some,), generator=generator)
        # The load depends on the closing axis but not on its sign, so a turn does not change it.
        poses = _turned(group.poses[places], generator)
        parts.append(Tried(poses, group.success[places], group.squared_load[places]))
    return Tried(
        *(torch.cat([getattr(part, each.name) for part in parts]) for each in fields(Tried))
    )


def _turned(poses: Tensor, generator: torch.Generator) -> Tensor:
    """Turn each pose by π around its approach axis with probability ½."""
    turned = torch.rand(len(poses), 1, 1, generator=generator) < 0.5
    return torch.where(turned, poses * poses.new_tensor(HALF_TURN), poses)


def _about(poses: Tensor, surface: Surface) -> Tensor:
    """Convert poses in the frame of the object's file to poses relative to the surface's centre."""
    about = poses.clone()
    about[:, :3, 3] -= surface.centre
    return about


def _condition(surfaces: Sequence[Surface], items: Sequence[Item]) -> Condition:
    hands = zip(*(item.probes for item in items), strict=True)
    return Condition(Surface.stack(list(surfaces)), Probes(*(torch.cat(each) for each in hands)))
