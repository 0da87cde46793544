"""Poses: SE(3) as a manifold for diffusion, and a few functions on poses.

A pose is a homogeneous matrix T, `(…, 4, 4)`, with a rotation R and a translation t in metres.
`T_a_b` maps points from frame b to frame a, so `T_a_b @ T_b_c` composes poses and `inverse(T_a_b)`
inverts one. A tangent vector v = (ρ, ω), `(…, 6)`, in metres and radians, is in the body frame of
the pose: for a grasp, the gripper's frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.manifolds import so3
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator, normal


def pose(
    rotation: Float[Tensor, "*#batch 3 3"], translation: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "... 4 4"]:
    """Make the pose with a given rotation and translation (in metres)."""
    batch = torch.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    column = translation[..., None].expand(*batch, 3, 1)
    upper = torch.cat([rotation.expand(*batch, 3, 3), column], dim=-1)
    lower = torch.zeros_like(upper[..., :1, :])
    lower[..., 3] = 1
    return torch.cat([upper, lower], dim=-2)


def inverse(pose_a_b: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Return the inverse pose (Rᵀ, −Rᵀt): the pose of a in b, given the pose of b in a."""
    rotation, translation = _parts(pose_a_b)
    return pose(rotation.mT, -_apply(rotation.mT, translation))


def transform(
    pose_a_b: Float[Tensor, "*#batch 4 4"], points_b: Float[Tensor, "*#batch points 3"]
) -> Float[Tensor, "... points 3"]:
    """Map points from frame b to frame a: Rp + t.

    Args:
        pose_a_b: One pose per set of points; leading axes broadcast.
        points_b: Sets of points in frame b, in metres.
    """
    rotation, translation = _parts(pose_a_b)
    return points_b @ rotation.mT + translation[..., None, :]


def adjoint(pose_a_b: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 6 6"]:
    """Return Ad_T, which maps twists from frame b to frame a: T·Exp(ξ) = Exp(Ad_T ξ)·T.

    Here Exp is the exponential of the whole group, that of the matrix [[ω̂, ρ], [0, 0]], which
    agrees with `SE3.retract` to first order only. For twists in the order (ρ, ω),
    Ad_T = [[R, t̂R], [0, R]] (Solà, Deray & Atchuthan 2018, "A micro Lie theory"). Ad_T maps
    vectors; its inverse transpose maps gradients.
    """
    rotation, translation = _parts(pose_a_b)
    upper = torch.cat([rotation, so3.hat(translation) @ rotation], dim=-1)
    lower = torch.cat([torch.zeros_like(rotation), rotation], dim=-1)
    return torch.cat([upper, lower], dim=-2)


@dataclass(frozen=True)
class SE3(Manifold):
    """Poses, moved by the product retraction (t + Rρ, R·Exp(ω)) in the body frame.

    A retraction multiplies on the right, so nothing here depends on the frame in which the poses
    are given. The metric S = diag(ℓ²I₃, I₃) has one constant: noise of level σ has a standard
    deviation of σ radians about each axis and σℓ metres along each axis.

    Args:
        length: ℓ, in metres per radian.

    Raises:
        InputError: If `length` is not positive.
    """

    length: float = 0.1

    point_ndim = 2
    tangent_ndim = 1
    is_flat = False

    def __post_init__(self) -> None:
        """Check the length."""
        if not self.length > 0:
            raise InputError(
                f"SE3's length must be positive, in metres per radian, got {self.length}"
            )

    def tangent_shape(self, point_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a tangent vector (ρ, ω): one axis of 6."""
        return (6,)

    def retract(
        self, x: Float[Tensor, "*#batch 4 4"], v: Float[Tensor, "*#batch 6"]
    ) -> Float[Tensor, "... 4 4"]:
        """Return (t + Rρ, R·Exp(ω))."""
        return x @ pose(so3.exp(v[..., 3:]), v[..., :3])

    def local(
        self, x: Float[Tensor, "*#batch 4 4"], y: Float[Tensor, "*#batch 4 4"]
    ) -> Float[Tensor, "... 6"]:
        """Return (Rₓᵀ(t_y − tₓ), Log(RₓᵀR_y)), which jumps where x and y are half a turn apart."""
        rotation_x, translation_x = _parts(x)
        rotation_y, translation_y = _parts(y)
        rho = _apply(rotation_x.mT, translation_y - translation_x)
        return torch.cat([rho, so3.log(rotation_x.mT @ rotation_y)], dim=-1)

    def to_unit(self, v: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
        """Return (ρ/ℓ, ω)."""
        return torch.cat([v[..., :3] / self.length, v[..., 3:]], dim=-1)

    def from_unit(self, u: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
        """Return (ℓu_ρ, u_ω), in metres and radians."""
        return torch.cat([u[..., :3] * self.length, u[..., 3:]], dim=-1)

    def tangent_noise(
        self, x: Float[Tensor, "*batch 4 4"], generator: Generator | None
    ) -> Float[Tensor, "*batch 6"]:
        """Draw normal tangent vectors: ρ with standard deviation ℓ metres, ω with one radian."""
        return self.from_unit(normal((*x.shape[:-2], 6), generator, x.dtype, x.device))

    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Float[Tensor, "... 3"] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "... 4 4"]:
        """Draw uniform rotations and translations from N(centre, (σℓ)² I); see `Manifold.random`.

        Args:
            shape: Shape of the result, `(batch…, 4, 4)`.
            noise_level: The final σ.
            generator: One generator, or one per entry of the first axis.
            centre: Centre of the object's geometry in metres, `(3,)` or `(batch…, 3)`. It is
                required, because the origin of the object's file means nothing.
            dtype: Data type of the result, which lies on the device of `centre`.

        Raises:
            InputError: If no centre is given.
        """
        if centre is None:
            raise InputError("random poses need a centre, the object's in metres, got None")
        numbers = normal((*shape[:-2], 7), generator, dtype, centre.device)
        translation = centre.to(dtype) + noise_level * self.length * numbers[..., 4:]
        return pose(so3.from_quaternion(numbers[..., :4]), translation)

    def kernel_score(
        self,
        mean: Float[Tensor, "*#batch 4 4"],
        x: Float[Tensor, "*#batch 4 4"],
        noise_level: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "... 6"]:
        """Return (−Rᵀ(t − t₀)/(σℓ)², the score of `SO3`), in the body frame of x.

        The translation t₀ + R₀ρ is normal, isotropic in any frame and independent of the rotation,
        so the density is a product, and R = R(x) alone maps its gradient to the body frame. The
        score is per metre and per radian.

        Args:
            mean: Poses, `(batch…, 4, 4)`.
            x: Poses, `(batch…, 4, 4)`.
            noise_level: σ > 0, `(batch…)`.
        """
        rotation, translation = _parts(x)
        mean_rotation, mean_translation = _parts(mean)
        sigma = self.over_tangent(noise_level.to(x)) * self.length
        pull = -_apply(rotation.mT, translation - mean_translation) / sigma**2
        twist = so3.SO3().kernel_score(mean_rotation, rotation, noise_level)
        return torch.cat([pull, twist], dim=-1)

    def log_kernel(
        self,
        mean: Float[Tensor, "*#batch 4 4"],
        x: Float[Tensor, "*#batch 4 4"],
        noise_level: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "..."]:
        """Return −‖t − t₀‖²/2(σℓ)² plus the log kernel of the rotations on `SO3`."""
        rotation, translation = _parts(x)
        mean_rotation, mean_translation = _parts(mean)
        square = (translation - mean_translation).square().sum(-1)
        of_rotation = so3.SO3().log_kernel(mean_rotation, rotation, noise_level)
        return of_rotation - square / (2 * (noise_level.to(x) * self.length) ** 2)

    def contract(self, alpha: Tensor, x: Float[Tensor, "*#batch 4 4"]) -> Float[Tensor, "... 4 4"]:
        """Return `x` itself, because a pose cannot be scaled.

        Raises:
            InputError: If an α on the CPU differs from 1.
        """
        self.check_signal(alpha)
        return x


def _parts(poses: Tensor) -> tuple[Tensor, Tensor]:
    return poses[..., :3, :3], poses[..., :3, 3]


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]
