"""Poses: SE(3) as a manifold for diffusion, and functions on poses.

A pose is a homogeneous matrix T, `(…, 4, 4)`, with a rotation R and a translation t in metres.
`T_a_b` maps points from frame b to frame a, so `T_a_b @ T_b_c` is `T_a_c`, and `inverse(T_a_b)` is
`T_b_a`. A tangent vector v = (ρ, ω), `(…, 6)`, consists of a translation ρ in metres and a rotation
vector ω in radians, in the body frame of the pose. A grasp's body frame is the gripper's frame.
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
    """Make a pose from a rotation and a translation in metres."""
    batch = torch.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    column = translation[..., None].expand(*batch, 3, 1)
    upper = torch.cat([rotation.expand(*batch, 3, 3), column], dim=-1)
    lower = torch.zeros_like(upper[..., :1, :])
    lower[..., 3] = 1
    return torch.cat([upper, lower], dim=-2)


def inverse(pose_a_b: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Return the inverse pose (Rᵀ, −Rᵀt), which maps points from frame a to frame b."""
    rotation, translation = _parts(pose_a_b)
    return pose(rotation.mT, -_apply(rotation.mT, translation))


def transform(
    pose_a_b: Float[Tensor, "*#batch 4 4"], points_b: Float[Tensor, "*#batch points 3"]
) -> Float[Tensor, "... points 3"]:
    """Map points p from frame b to frame a: Rp + t.

    Args:
        pose_a_b: One pose per set of points; the leading axes broadcast.
        points_b: Sets of points in frame b, in metres.
    """
    rotation, translation = _parts(pose_a_b)
    return points_b @ rotation.mT + translation[..., None, :]


def adjoint(pose_a_b: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 6 6"]:
    """Return Ad_T, which maps twists from frame b to frame a: T·Exp(ξ) = Exp(Ad_T ξ)·T.

    Here ξ = (ρ, ω) is a twist, and Exp(ξ) is the matrix exponential of [[ω̂, ρ], [0, 0]], which
    agrees with `SE3.retract` only to first order. In the order (ρ, ω), Ad_T = [[R, t̂R], [0, R]]
    (Solà, Deray & Atchuthan 2018, "A micro Lie theory"). Ad_T maps vectors, and the inverse
    transpose of Ad_T maps gradients.
    """
    rotation, translation = _parts(pose_a_b)
    upper = torch.cat([rotation, so3.hat(translation) @ rotation], dim=-1)
    lower = torch.cat([torch.zeros_like(rotation), rotation], dim=-1)
    return torch.cat([upper, lower], dim=-2)


@dataclass(frozen=True)
class SE3(Manifold):
    """The space of poses (R, t), with the retraction (R·Exp(ω), t + Rρ) in the body frame.

    The retraction multiplies a pose on the right, so steps, noise and scores do not depend on the
    reference frame of the poses. The metric S = diag(ℓ²I₃, I₃) has one constant ℓ. Noise of level σ
    has a standard deviation of σℓ metres along each axis and σ radians around each axis.

    Args:
        length: The constant ℓ of the metric, in metres per radian.

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
                f"the length of SE3 must be positive, in metres per radian, got {self.length}"
            )

    def tangent_shape(self, point_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a tangent vector (ρ, ω): one axis with 6 entries."""
        return (6,)

    def retract(
        self, x: Float[Tensor, "*#batch 4 4"], v: Float[Tensor, "*#batch 6"]
    ) -> Float[Tensor, "... 4 4"]:
        """Return the pose (R·Exp(ω), t + Rρ), where x = (R, t) and v = (ρ, ω)."""
        return x @ pose(so3.exp(v[..., 3:]), v[..., :3])

    def local(
        self, x: Float[Tensor, "*#batch 4 4"], y: Float[Tensor, "*#batch 4 4"]
    ) -> Float[Tensor, "... 6"]:
        """Return (Rₓᵀ(t_y − tₓ), Log(RₓᵀR_y)), discontinuous if RₓᵀR_y is half a turn."""
        rotation_x, translation_x = _parts(x)
        rotation_y, translation_y = _parts(y)
        rho = _apply(rotation_x.mT, translation_y - translation_x)
        return torch.cat([rho, so3.log(rotation_x.mT @ rotation_y)], dim=-1)

    def to_unit(self, v: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
        """Return the unit coordinates (ρ/ℓ, ω), which are dimensionless."""
        return torch.cat([v[..., :3] / self.length, v[..., 3:]], dim=-1)

    def from_unit(self, u: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
        """Return the tangent vector (ℓu_ρ, u_ω), in metres and radians."""
        return torch.cat([u[..., :3] * self.length, u[..., 3:]], dim=-1)

    def tangent_noise(
        self, x: Float[Tensor, "*batch 4 4"], generator: Generator | None
    ) -> Float[Tensor, "*batch 6"]:
        """Draw Gaussian tangent vectors: standard deviation ℓ metres in ρ and 1 radian in ω."""
        return self.from_unit(normal((*x.shape[:-2], 6), generator, x.dtype, x.device))

    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Float[Tensor, "... 3"] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "... 4 4"]:
        """Draw poses with uniform rotations, and with translations from N(centre, (σℓ)² I).

        Args:
            shape: Shape of the result, `(batch…, 4, 4)`.
            noise_level: Noise level σ at the end of the forward process.
            generator: One generator, or one generator per entry of the first axis.
            centre: Centre of the object's geometry in metres, `(3,)` or `(batch…, 3)`. The centre
                is required, because the origin of the object's file is arbitrary.
            dtype: Data type of the result. The result is on the device of `centre`.

        Raises:
            InputError: If `centre` is None.
        """
        if centre is None:
            raise InputError("random poses need the centre of the object in metres, got None")
        numbers = normal((*shape[:-2], 7), generator, dtype, centre.device)
        translation = centre.to(dtype) + noise_level * self.length * numbers[..., 4:]
        return pose(so3.from_quaternion(numbers[..., :4]), translation)

    def kernel_score(
        self,
        mean: Float[Tensor, "*#batch 4 4"],
        x: Float[Tensor, "*#batch 4 4"],
        noise_level: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "... 6"]:
        """Return the score (−Rᵀ(t − t₀)/(σℓ)², score of the rotation) in the body frame of x.

        Here x = (R, t) and mean = (R₀, t₀). The noisy translation t₀ + R₀ρ is Gaussian, isotropic
        in every frame and independent of the rotation. The density is therefore the product of a
        density of t and a density of R, for which `SO3` gives the score. The entries of the score
        are per metre and per radian.

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
        """Return `x` unchanged, because a pose cannot be scaled.

        Raises:
            InputError: If a value of `alpha` differs from 1.
                Checked only if `alpha` is on the CPU.
        """
        self.check_signal(alpha)
        return x


def _parts(poses: Tensor) -> tuple[Tensor, Tensor]:
    return poses[..., :3, :3], poses[..., :3, 3]


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]
