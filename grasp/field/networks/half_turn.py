"""The half turn of a parallel jaw about its approach axis, which changes nothing about a grasp.

A half turn of the gripper exchanges each probe with the probe at (−x, −y, z), and changes the signs
of the x and y components of vectors in the gripper's frame. So it acts on the features x of a pose
as a permutation with signs T, and T² = 1. The even part (x + Tx)/2 does not change and the odd part
(x − Tx)/2 changes its sign. A layer h(x) = φ(A·even + B·odd) of both parts therefore becomes
φ(A·even − B·odd) under the half turn, and the mean of the two is symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.networks.probes import half_turned

_VECTOR = (-1.0, -1.0, 1.0)  # signs that a half turn gives the components of a vector
_COVARIANCE = (1.0, 1.0, -1.0, 1.0, -1.0, 1.0)  # the same for the entries xx, xy, xz, yy, yz, zz


class HalfTurn(nn.Module):
    """The half turn of the features that `grasp.field.networks.energy.features` returns.

    Args:
        looks: Indices of the probes for the fine points and of the probes for the coarse points.
    """

    partner: Tensor
    sign: Tensor
    even: Tensor
    odd: Tensor

    def __init__(self, looks: Sequence[Sequence[int]]) -> None:
        super().__init__()
        partner: list[int] = []
        sign: list[float] = []
        for chosen in looks:
            turned = half_turned(chosen)
            for _ in ("amount", "distance"):
                begin = len(partner)
                partner += [begin + place for place in turned]
                sign += [1.0] * len(turned)
            begin = len(partner)
            partner += [begin + 3 * place + axis for place in turned for axis in range(3)]
            sign += list(_VECTOR) * len(turned)
        signs = [*_VECTOR, *_COVARIANCE]
        partner += range(len(partner), len(partner) + len(signs))
        sign += signs
        pairs = [(index, other, sign[index]) for index, other in enumerate(partner)]
        even = [index for index, other, s in pairs if index < other or (index == other and s > 0)]
        odd = [index for index, other, s in pairs if index < other or (index == other and s < 0)]
        # The buffers follow from the list of probes, so they are not stored with the weights.
        for name, values in (("partner", partner), ("even", even), ("odd", odd)):
            self.register_buffer(name, torch.tensor(values), persistent=False)
        self.register_buffer("sign", torch.tensor(sign), persistent=False)

    def forward(self, seen: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch features"]:
        """Return the features of the turned gripper.

        Args:
            seen: Features of each pose.
        """
        return seen[..., self.partner] * self.sign

    def parts(
        self, seen: Float[Tensor, "*batch features"]
    ) -> tuple[Float[Tensor, "*batch even"], Float[Tensor, "*batch odd"]]:
        """Return the even and the odd part of features; together they have as many numbers.

        Args:
            seen: Features of each pose.
        """
        turned = self(seen)
        return (
            (seen[..., self.even] + turned[..., self.even]) / 2,
            (seen[..., self.odd] - turned[..., self.odd]) / 2,
        )


def turned(poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Return the poses of the turned gripper.

    Args:
        poses: Poses of the gripper in any frame.
    """
    return poses * poses.new_tensor((*_VECTOR, 1.0))
