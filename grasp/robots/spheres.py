"""Spheres that cover the links of an arm and its gripper, for smooth collision costs.

A description may state spheres, which are taken as they are. Any other shape is covered: the
bounding box of the shape in its link is cut into pieces that are as cubic as possible, and a sphere
around each piece contains the piece. So the spheres contain the shape. They reach beyond the box
by about 0.4 times the side of a piece, and a box around an oblique or hollow shape is larger than
the shape: state spheres where this is too much.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from grasp.grippers.gripper import Gripper
from grasp.grippers.urdf import Link

_MOST_CUTS = 6  # largest number of pieces along a side of a bounding box


@dataclass(frozen=True, eq=False)
class Spheres:
    """Spheres that move with the frames of an arm.

    Attributes:
        frame: Index of the frame of each sphere, in the order of `Kinematics.frames`.
        centre: Centres in the frames, in metres.
        radius: Radii in metres.
    """

    frame: Int[Tensor, " spheres"]
    centre: Float[Tensor, "spheres 3"]
    radius: Float[Tensor, " spheres"]

    def __len__(self) -> int:
        return len(self.frame)

    def places(self, frames: Float[Tensor, "*batch frames 4 4"]) -> Float[Tensor, "*batch n 3"]:
        """Return the centres in the root frame of the arm, in metres.

        Args:
            frames: Poses of the frames, from `Kinematics.frames`.
        """
        poses = frames[..., self.frame, :, :]
        centre = self.centre.to(frames)[:, :, None]
        return (poses[..., :3, :3] @ centre)[..., 0] + poses[..., :3, 3]

    @classmethod
    def gather(cls, parts: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> Spheres:
        """Make spheres from parts: the index of a frame, centres (n, 3) and radii (n,)."""
        frame = [index for index, _, radius in parts for _ in radius]
        centres = np.concatenate([np.zeros((0, 3)), *(centre for _, centre, _ in parts)])
        radii = np.concatenate([np.zeros(0), *(radius for *_, radius in parts)])
        return cls(
            torch.tensor(frame, dtype=torch.int64), torch.tensor(centres), torch.tensor(radii)
        )


def covered(
    lower: Float[np.ndarray, "3"], upper: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """Cover a box with spheres.

    Args:
        lower: Smallest coordinates of the box in metres.
        upper: Largest coordinates.

    Returns:
        Centres and radii. Every point of the box is in a sphere.
    """
    sides = np.maximum(upper - lower, 1e-6)
    # The shortest side is not cut; the others are cut into pieces about as long as that.
    counts = np.clip(np.round(sides / max(sides.min(), sides.max() / _MOST_CUTS)), 1, _MOST_CUTS)
    piece = sides / counts
    steps = [lower[k] + piece[k] * (np.arange(counts[k]) + 0.5) for k in range(3)]
    centres = np.array(list(itertools.product(*steps)))
    return centres, np.full(len(centres), float(np.linalg.norm(piece)) / 2)


def link_spheres(
    links: dict[str, Link], placed: dict[str, tuple[int, np.ndarray]]
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return spheres that contain the collision geometry of links.

    Args:
        links: Links by name.
        placed: For each link, the index of the frame that it moves with and its pose in the frame;
            see `grasp.robots.kinematics.kinematics_of`.
    """
    parts = []
    for name, link in links.items():
        frame, pose = placed[name]
        for solid in link.solids:
            lower, upper = solid.vertices.min(axis=0), solid.vertices.max(axis=0)
            if solid.radius is None:
                centres, radii = covered(lower, upper)
            else:
                centres, radii = (lower + upper)[None] / 2, np.array([solid.radius])
            parts.append((frame, centres @ pose[:3, :3].T + pose[:3, 3], radii))
    return parts


def gripper_spheres(
    gripper: Gripper, frame: int, T_frame_grasp: Float[np.ndarray, "4 4"]
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return spheres that contain the boxes of an open gripper.

    Args:
        gripper: The gripper.
        frame: Index of the frame that the gripper moves with.
        T_frame_grasp: Pose of the gripper in this frame.
    """
    parts = []
    for box in gripper.boxes(gripper.stroke):
        centres, radii = covered(box.centre - box.half_extents, box.centre + box.half_extents)
        parts.append((frame, centres @ T_frame_grasp[:3, :3].T + T_frame_grasp[:3, 3], radii))
    return parts
