"""The spaces on which diffusion runs, each with operations that move and compare points."""

from pcdiff.manifolds import se3, so3
from pcdiff.manifolds.base import Manifold
from pcdiff.manifolds.euclidean import Euclidean
from pcdiff.manifolds.gradients import value_and_gradient
from pcdiff.manifolds.product import Power, Product
from pcdiff.manifolds.se3 import SE3
from pcdiff.manifolds.so3 import SO3

__all__ = [
    "SE3",
    "SO3",
    "Euclidean",
    "Manifold",
    "Power",
    "Product",
    "se3",
    "so3",
    "value_and_gradient",
]
