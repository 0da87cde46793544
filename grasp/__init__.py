"""Grasps as poses on SE(3): the second head on the diffusion core of `pcdiff`.

    import grasp
    field = grasp.GraspField.from_pretrained("panda")
    grasps = field.condition(grasp.load_object("mug.obj")).sample(200, generator=g)

`import grasp` is lazy: what needs no torch starts without it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grasp.field.conditioned import ConditionedField
    from grasp.field.model import GraspField
    from grasp.field.sampling import Sampling
    from grasp.formats import Grasps, read_grasps, write_grasps
    from grasp.grippers.gripper import Gripper, load_gripper
    from grasp.objects.loading import load_object
    from grasp.objects.object import Object

__all__ = [
    "ConditionedField",
    "GraspField",
    "Grasps",
    "Gripper",
    "Object",
    "Sampling",
    "load_gripper",
    "load_object",
    "read_grasps",
    "write_grasps",
]

_HOMES = {
    "ConditionedField": "grasp.field.conditioned",
    "GraspField": "grasp.field.model",
    "Grasps": "grasp.formats",
    "Gripper": "grasp.grippers.gripper",
    "Object": "grasp.objects.object",
    "Sampling": "grasp.field.sampling",
    "load_gripper": "grasp.grippers.gripper",
    "load_object": "grasp.objects.loading",
    "read_grasps": "grasp.formats",
    "write_grasps": "grasp.formats",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'grasp' has no attribute {name!r}")
