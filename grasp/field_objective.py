"""What training a `GraspField` means: labelled grasps of many objects, its loss, its validation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from grasp.field import KIND, Condition, GraspField
from grasp.formats import Grasps, read_grasps
from grasp.gripper import load_gripper
from grasp.networks.probes import Probes, probes
from grasp.networks.surface import Surface
from grasp.objects import Object, load_object
from grasp.surfaces import surface_of
from pcdiff.errors import InputError
from pcdiff.randomness import seeded

FULL, VIEWS = 2, 2
"""Surfaces of each object that training chooses from: drawn on the whole mesh, and seen from one
side with a depth camera's noise."""

FEWEST = 5
"""Grasps that hold, below which an object teaches nothing about where they are."""

_TURN = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
"""R_z(π): the same grasp of a parallel jaw."""


@dataclass(frozen=True, eq=False)
class Item:
    """Labelled grasps of one object with one gripper.

    Attributes:
        name: of the object.
        sha256: of its geometry.
        surfaces: to choose from.
        probes: of the gripper.
        poses: `T_object_grasp`, metres.
        success: whether each holds.
    """

    name: str
    sha256: str
    surfaces: tuple[Surface, ...]
    probes: Probes
    poses: Float[Tensor, "grasps 4 4"]
    success: Bool[Tensor, " grasps"]


class FieldObjective:
    """The `Objective` of the grasp head.

    Args:
        model: what to train.
        train: labelled grasps.
        validation: labelled grasps of other objects.
        grasps: drawn of each item and step, for either network.
        origin: what else the weights should record.
    """

    kind = KIND

    def __init__(
        self,
        model: GraspField,
        train: Sequence[Item],
        validation: Sequence[Item],
        grasps: int = 48,
        origin: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.train, self.validation, self.grasps = model, train, validation, grasps
        self.size = len(train)
        digest = hashlib.sha256()
        for item in (*train, *validation):
            digest.update(item.poses.numpy().tobytes() + item.success.numpy().tobytes())
        self.description: dict[str, Any] = {
            "model": model.config.as_dict(),
            "data": {
                "sha256": digest.hexdigest(),
                "items": len(train),
                "labels": sum(len(item.poses) for item in train),
                "validation_items": len(validation),
                "grasps": grasps,
            },
            "origin": dict(origin or {}),
        }

    def loss(
        self, model: nn.Module, items: list[int], generators: list[torch.Generator]
    ) -> dict[str, Tensor]:
        """As `Objective.loss`."""
        return self._loss(model, [self.train[item] for item in items], generators)

    def validation_loss(self, model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        """As `Objective.validation_loss`."""
        seed = int(torch.randint(2**31, (), generator=generator))
        generators = [seeded(seed, place) for place in range(len(self.validation))]
        return self._loss(model, self.validation, generators)

    def _loss(
        self, model: nn.Module, items: Sequence[Item], generators: Sequence[torch.Generator]
    ) -> dict[str, Tensor]:
        drawn = [self._draw(item, g) for item, g in zip(items, generators, strict=True)]
        surfaces, held, tried, success = zip(*drawn, strict=True)
        condition = Condition(
            Surface.stack(list(surfaces)),
            Probes(*(torch.cat(each) for each in zip(*(i.probes for i in items), strict=True))),
        )
        device = next(model.parameters()).device
        condition = Condition(
            condition.surface.to(device), Probes(*(each.to(device) for each in condition.probes))
        )
        return cast(GraspField, model).loss(
            torch.stack(held).to(device),
            torch.stack(tried).to(device),
            torch.stack(success).to(device),
            condition,
            list(generators),
        )

    def _draw(
        self, item: Item, generator: torch.Generator
    ) -> tuple[Surface, Tensor, Tensor, Tensor]:
        """A surface and grasps about its centre, each turned by π or not."""

        def some(places: Tensor) -> Tensor:
            return places[torch.randint(len(places), (self.grasps,), generator=generator)]

        surface = item.surfaces[int(torch.randint(len(item.surfaces), (), generator=generator))]
        held = some(item.success.nonzero()[:, 0])
        tried = some(torch.arange(len(item.poses)))
        poses = item.poses[torch.cat([held, tried])]
        turned = torch.rand(len(poses), 1, 1, generator=generator) < 0.5
        poses = torch.where(turned, poses @ _TURN, poses)
        poses[:, :3, 3] -= surface.centre
        return surface, *poses.split(self.grasps), item.success[tried].float()


def split(items: Sequence[Item], one_in: int) -> tuple[list[Item], list[Item]]:
    """Items to train on and items to validate on, by object: one object in so many.

    An object's place depends on its geometry alone, so it is the same for every gripper and run.
    """
    parts: tuple[list[Item], list[Item]] = ([], [])
    for item in items:
        parts[int(item.sha256, 16) % one_in == 0].append(item)
    return parts


def read_items(
    folder: Path,
    gripper: str,
    seed: int,
    full: int = FULL,
    views: int = VIEWS,
    advance: Callable[[], None] = lambda: None,
) -> list[Item]:
    """The labelled grasps of a folder, with surfaces of the objects.

    Args:
        folder: of a set, with `grasps/GRIPPER/NAME.h5`, which name their meshes relative to it.
        gripper: its name, or the file that describes it.
        seed: of what is drawn.
        full: surfaces of the whole object.
        views: surfaces seen from one side.
        advance: called after each object.

    Raises:
        InputError: there are no such labels, or a file cannot be read.
    """
    hand = load_gripper(gripper)
    files = sorted((folder / "grasps" / hand.name).glob("*.h5"))
    if not files:
        raise InputError(f"{folder} has no labelled grasps for {hand.name}: no grasps/{hand.name}")
    items = []
    for path in files:
        grasps = read_grasps(path)
        if grasps.success is None or grasps.object_file is None:
            raise InputError(f"{path} has no labels or does not name its object")
        if grasps.success.sum() >= FEWEST:
            obj = load_object(folder / grasps.object_file, grasps.object_scale)
            items.append(_item(path.stem, obj, grasps, probes(hand), seed, full, views))
        advance()
    return items


def _item(
    name: str, obj: Object, grasps: Grasps, of_hand: Probes, seed: int, full: int, views: int
) -> Item:
    rng = np.random.default_rng([seed, int(obj.sha256, 16)])
    surfaces = [surface_of(obj, rng) for _ in range(full)]
    surfaces += [surface_of(seen, rng) for seen in _seen(obj, views, rng)]
    assert grasps.success is not None
    return Item(
        name,
        obj.sha256,
        tuple(surfaces),
        of_hand,
        torch.from_numpy(grasps.poses).float(),
        torch.from_numpy(grasps.success),
    )


def _seen(obj: Object, count: int, rng: np.random.Generator) -> list[Object]:
    """Noisy single views from random directions, at 50 cm to 1 m."""
    from grasp.views import KINECT, poses_on_sphere, render_view

    views = []
    for _ in range(count):
        (camera,) = poses_on_sphere(1, obj.centre, rng.uniform(0.5, 1.0), rng)
        views.append(render_view(obj, camera, noise=KINECT, rng=rng).in_object())
    return views
