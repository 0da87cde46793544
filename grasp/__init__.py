"""Grasps as poses on SE(3), sampled by diffusion models that use the core of `pcdiff`.

    import grasp
    field = grasp.GraspField.from_pretrained("panda")
    grasps = field.condition(grasp.load_object("mug.obj")).sample(200, seed=0)

Names are imported on first use, so code that does not need torch starts without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grasp.field.conditioned import ConditionedField
    from grasp.field.sampling import Sampling
    from grasp.field.selection import Selection
    from grasp.field.trained import GraspField
    from grasp.formats import Grasp, Grasps, read_grasps, write_grasps
    from grasp.grippers.gripper import Gripper, load_gripper
    from grasp.objects.loading import load_object
    from grasp.objects.object import Object

__all__ = [
    "ConditionedField",
    "Grasp",
    "GraspField",
    "Grasps",
    "Gripper",
    "Object",
    "Sampling",
    "Selection",
    "load_gripper",
    "load_object",
    "read_grasps",
    "write_grasps",
]

_HOMES = {
    "ConditionedField": "grasp.field.conditioned",
    "Grasp": "grasp.formats",
    "GraspField": "grasp.field.trained",
    "Grasps": "grasp.formats",
    "Gripper": "grasp.grippers.gripper",
    "Object": "grasp.objects.object",
    "Sampling": "grasp.field.sampling",
    "Selection": "grasp.field.selection",
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


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"Any", "TYPE_CHECKING"})
