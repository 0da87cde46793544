"""Try the grasps of a file in physics, as `grasp simulate` does.

plan = plan_trials("mug.obj", "grasps.json", TrialOptions())
outcomes = plan.run(functools.partial(simulate, conditions=Conditions(friction=0.8)))
write_grasps("labelled.json", plan.labelled(outcomes))
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass

from grasp.formats import Grasps, read_grasps
from grasp.grippers.gripper import Gripper, load_gripper, named_gripper
from grasp.judging.labels import Outcomes, Simulator, with_outcomes
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.objects.pieces import Which
from pcdiff.errors import InputError


@dataclass(frozen=True)
class TrialOptions:
    """Settings that a mesh or a grasp file may leave out (gripper, scale, units, frame).

    Attributes:
        gripper: Name of a gripper, or path of a .toml file. None means the gripper that the grasp
            file names.
        scale: Factor for the numbers in the mesh file. If `scale` and `unit` are both None, the
            scale in the grasp file is used.
        unit: Unit of the numbers in the mesh file.
        frame: Frame of the poses, for a grasp file that does not state the frame.
        grasp_unit: Unit of the poses, for a grasp file that does not state the unit.
        object_id: Id of the object, for a grasp file with grasps of several objects.
        which: Which object is meant, for a mesh file with several objects.
    """

    gripper: str | None = None
    scale: float | None = None
    unit: str | None = None
    frame: str | None = None
    grasp_unit: str | None = None
    object_id: str | None = None
    which: Which | None = None


@dataclass(frozen=True, eq=False)
class TrialPlan:
    """Grasps that are ready to be tried in physics.

    Attributes:
        obj: The object, a mesh.
        gripper: The gripper.
        grasps: The grasps as read from the file.
    """

    obj: Object
    gripper: Gripper
    grasps: Grasps

    @property
    def other_geometry(self) -> bool:
        """True if the grasp file states a geometry other than the geometry of the object."""
        return self.grasps.object_sha256 not in (None, self.obj.sha256)

    def run(self, simulator: Simulator) -> Outcomes:
        """Try each grasp in physics and return the outcomes."""
        return simulator(self.obj, self.gripper, self.grasps.poses)

    def labelled(self, outcomes: Outcomes) -> Grasps:
        """Return the grasps, labelled with their outcomes in physics."""
        return dataclasses.replace(
            with_outcomes(self.grasps, outcomes),
            gripper=self.gripper.name,
            object_file=self.obj.file,
            object_scale=self.obj.scale,
            object_sha256=self.obj.sha256,
            tool_center_point=self.gripper.tool_center_point,
        )


def plan_trials(
    mesh: str | os.PathLike[str], file: str | os.PathLike[str], options: TrialOptions | None = None
) -> TrialPlan:
    """Read a mesh and the grasps to try on it.

    Args:
        mesh: File of the mesh that the grasps refer to.
        file: Grasp file.
        options: Settings that the files leave out (gripper, scale, units, frame).

    Raises:
        InputError: If a file cannot be read, the object is a point cloud, there are no grasps, or
            the gripper is unknown.
    """
    options = options or TrialOptions()
    grasps = read_grasps(
        file,
        frame=options.frame,
        unit=options.grasp_unit,
        gripper=options.gripper,
        object_id=options.object_id,
    )
    if not len(grasps):
        raise InputError(f"{file} has no grasps: {grasps.reason}")
    if options.gripper is not None:
        hand = load_gripper(options.gripper)
    elif grasps.gripper is not None:
        hand = named_gripper(grasps.gripper, str(file))
    else:
        raise InputError(
            f"{file} does not name its gripper: state the gripper", parameter="gripper"
        )
    scale, unit = options.scale, options.unit
    if scale is None and unit is None and grasps.object_scale != 1:
        scale, unit = grasps.object_scale, "m"
    obj = load_object(mesh, 1.0 if scale is None else scale, unit, which=options.which)
    check_mesh(obj)
    return TrialPlan(obj, hand, grasps)


def check_mesh(obj: Object) -> None:
    """Check that an object can be simulated.

    Raises:
        InputError: If the object is a point cloud.
    """
    if not obj.is_mesh:
        raise InputError(f"{obj.file} is a point cloud, but physics needs a mesh")
