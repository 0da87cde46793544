"""The 0.1.0 path of `grasp.physics`."""

from grasp.physics import *  # noqa: F403
from grasp.physics import __all__ as __all__
