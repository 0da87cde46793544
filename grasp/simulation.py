"""The public names of `grasp.physics` under the path that they had in version 0.1.0.

The names are imported on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grasp.physics import (
        PROTOCOL,
        Motion,
        Protocol,
        Trials,
        convex_parts,
        cores,
        in_collision,
        processes,
        simulate,
    )
    from grasp.physics import label_digests as conditions

__all__ = [
    "PROTOCOL",
    "Motion",
    "Protocol",
    "Trials",
    "conditions",
    "convex_parts",
    "cores",
    "in_collision",
    "processes",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from grasp import physics

        return getattr(physics, "label_digests" if name == "conditions" else name)
    raise AttributeError(f"module 'grasp.simulation' has no attribute {name!r}")
