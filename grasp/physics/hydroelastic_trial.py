"""A trial in Drake: close the hand, shake the object, and check whether the grasp succeeds.

The world frame is the frame of the gripper before shaking, with its origin at the tool centre
point. As in `grasp.physics.model`, the base of the hand turns around two axes but does not
translate; a force on the object's centre of mass acts like the opposite acceleration of the hand.

This module imports Drake, so import this module only where trials start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from pydrake import geometry
from pydrake.common import MemoryFile
from pydrake.math import RigidTransform, RotationMatrix
from pydrake.multibody.math import SpatialForce
from pydrake.multibody.plant import (
    AddMultibodyPlant,
    CoulombFriction,
    ExternallyAppliedSpatialForce,
    MultibodyPlantConfig,
)
from pydrake.multibody.tree import (
    PrismaticJoint,
    RevoluteJoint,
    SpatialInertia,
    UnitInertia,
)
from pydrake.systems.framework import DiagramBuilder

from grasp.grippers.gripper import Box, Gripper
from grasp.objects.object import Object
from grasp.physics.body import Body
from grasp.physics.hydroelastic_settings import Hydroelastic
from grasp.physics.model import AXES, SIDES
from grasp.physics.procedure import Outcome, Procedure
from grasp.physics.protocol import Motion, Protocol

_POLYGONS = geometry.HydroelasticContactRepresentation.kPolygon


class World(Procedure):
    """A gripper and an object in Drake, ready for any number of independent trials.

    Args:
        obj: Object, whose triangles the gripper touches.
        body: Mass, centre of mass and inertia of the object.
        gripper: Gripper to try.
        friction: Coefficient of friction between gripper and object.
        protocol: Protocol of the trials.
        contact: Settings of Drake's contact.
    """

    def __init__(
        self,
        obj: Object,
        body: Body,
        gripper: Gripper,
        friction: float,
        protocol: Protocol,
        contact: Hydroelastic,
    ) -> None:
        super().__init__(protocol)
        self._gripper, self._contact = gripper, contact
        self._time_step = contact.steps * protocol.time_step
        self._friction = contact.friction * friction
        self._centre = body.centre
        self._force = protocol.finger_force(gripper.max_force)
        self._mass = max(body.mass, protocol.least_mass)
        builder = DiagramBuilder()
        config = MultibodyPlantConfig(
            time_step=self._time_step,
            contact_model="hydroelastic",
            discrete_contact_approximation="lagged",
            contact_surface_representation="polygon",
            # Otherwise, the ports would show the contacts of the last step, not of the state.
            use_sampled_output_ports=False,
        )
        self._plant, scene = AddMultibodyPlant(config, builder)
        self._plant.mutable_gravity_field().set_gravity_vector([0.0, 0.0, 0.0])
        self._add_hand()
        self._add_object(obj, body)
        self._plant.Finalize()
        hand = [shape for link in ("base", *SIDES) for shape in self._shapes(link)]
        scene.collision_filter_manager().Apply(
            geometry.CollisionFilterDeclaration().ExcludeWithin(geometry.GeometrySet(hand))
        )
        self._finger_of = {shape: side for side in SIDES for shape in self._shapes(side)}
        # The objects of Drake that follow are parts of the diagram, which must stay alive.
        self._diagram = builder.Build()
        self._root = self._diagram.CreateDefaultContext()
        self._context = self._plant.GetMyMutableContextFromRoot(self._root)
        self._next = self._plant.AllocateDiscreteVariables()
        self._joints = [self._plant.GetJointByName(side) for side in SIDES]

    def trial(self, pose: Float[np.ndarray, "4 4"]) -> Outcome:
        """Run a trial of an open hand that does not overlap the object beyond the tolerance.

        Args:
            pose: Grasp pose `T_object_grasp`, rigid.
        """
        self.place(pose)
        try:
            failure = self.close() or self.shake()
        except RuntimeError as error:
            # Drake's solver raises this error if it diverges. Any other error is a bug.
            if "converge" not in str(error):
                raise
            failure = "unstable"
        return Outcome(failure, self.width())

    def place(self, pose: Float[np.ndarray, "4 4"]) -> None:
        """Reset the simulation: the hand rests wide open, the object rests at its place.

        Args:
            pose: Grasp pose `T_object_grasp`, rigid.
        """
        plant, context = self._plant, self._context
        plant.SetPositions(context, plant.GetDefaultPositions())
        plant.SetVelocities(context, np.zeros(plant.num_velocities()))
        rotation = RotationMatrix.ProjectToRotationMatrix(pose[:3, :3].T)
        place = pose[:3, :3].T @ (self._centre - pose[:3, 3]) - self._gripper.tool_center_point
        plant.SetFreeBodyPose(context, self._object, RigidTransform(rotation, place))
        for joint in self._joints:
            joint.set_translation(context, self._gripper.stroke / 2)

    def begin_closing(self) -> None:
        """Let the fingers close with their full force from now on."""
        self._apply({}, np.zeros(3))

    def step(self, seconds: float) -> None:
        """Advance the simulation.

        Args:
            seconds: Simulated time to advance in seconds, rounded to a whole number of steps.
        """
        # A `Simulator` counts steps by comparing sums of times, which rounding can upset.
        for _ in range(round(seconds / self._time_step)):
            self._plant.CalcForcedDiscreteVariableUpdate(self._context, self._next)
            self._context.SetDiscreteState(self._next)

    def finger_speed(self) -> float:
        """Return the speed of the faster finger in m/s."""
        return max(abs(joint.get_translation_rate(self._context)) for joint in self._joints)

    def object_motion(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
        """Return the velocity of the object in m/s and its spin in rad/s."""
        moves = self._plant.EvalBodySpatialVelocityInWorld(self._context, self._object)
        return moves.translational(), moves.rotational()

    def diverged(self) -> bool:
        """Test whether the simulation has diverged."""
        return not np.isfinite(self._plant.GetPositionsAndVelocities(self._context)).all()

    def touched(self) -> Bool[np.ndarray, "2"]:
        """Return which of the two fingers touch the object."""
        if self.diverged():
            return np.zeros(2, bool)  # Drake computes no contacts of numbers that are not finite
        query = self._plant.get_geometry_query_input_port().Eval(self._context)
        touching = {
            self._finger_of.get(shape)
            for surface in query.ComputeContactSurfaces(_POLYGONS)
            for shape in (surface.id_M(), surface.id_N())
        }
        return np.array([side in touching for side in SIDES])

    def width(self) -> float:
        """Return the opening between the pads in metres."""
        return max(0.0, sum(joint.get_translation(self._context) for joint in self._joints))

    def accelerate(self, motion: Motion, sign: float) -> None:
        """Set the acceleration and the gravity of a motion for the next steps.

        Args:
            motion: Motion of the hand.
            sign: Sign of the acceleration, 1 or -1.
        """
        field = self._protocol.gravity * np.array(motion.gravity)
        turn: dict[str, float] = {}
        if motion.kind == "along":
            field -= sign * motion.acceleration * np.array(AXES[motion.axis])
        else:
            turn[motion.axis] = sign * motion.acceleration
        self._apply(turn, field)

    def _apply(self, turn: dict[str, float], field: Float[np.ndarray, "3"]) -> None:
        """Set the forces of the next steps; the fingers close with their full force.

        Args:
            turn: Angular acceleration of the base in rad/s² around each axis; no entry means 0.
            field: Acceleration of the object relative to the hand in m/s².
        """
        forces = [-self._force] * len(SIDES)
        forces += [self._protocol.base_inertia * turn.get(axis, 0.0) for axis in AXES]
        self._plant.get_actuation_input_port().FixValue(self._context, forces)
        pull = ExternallyAppliedSpatialForce()
        pull.body_index = self._object.index()
        pull.p_BoBq_B = np.zeros(3)
        pull.F_Bq_W = SpatialForce(np.zeros(3), self._mass * field)
        self._plant.get_applied_spatial_force_input_port().FixValue(self._context, [pull])

    def _add_hand(self) -> None:
        plant, protocol, gripper = self._plant, self._protocol, self._gripper
        # An armature of the base, as in the model of MuJoCo, makes the hand's own inertia
        # negligible. Drake needs some inertia of every body, here 1 kg and 1 kg·m².
        own = SpatialInertia(1.0, np.zeros(3), UnitInertia(1.0, 1.0, 1.0))
        turn, base = (plant.AddRigidBody(name, own) for name in ("turn", "base"))
        links = zip(AXES, (plant.world_body(), turn), (turn, base), strict=True)
        turns = [
            plant.AddJoint(RevoluteJoint(axis, parent.body_frame(), child.body_frame(), AXES[axis]))
            for axis, parent, child in links
        ]
        self._add_boxes(base, gripper.hand_boxes)
        finger = SpatialInertia(protocol.finger_inertia, np.zeros(3), UnitInertia(1.0, 1.0, 1.0))
        for side, boxes, outward in zip(SIDES, gripper.fingers(0.0), (1.0, -1.0), strict=True):
            link = plant.AddRigidBody(side, finger)
            joint = plant.AddJoint(
                PrismaticJoint(
                    side, base.body_frame(), link.body_frame(), [outward, 0.0, 0.0],
                    pos_lower_limit=0.0, pos_upper_limit=gripper.stroke / 2,
                    # The damping limits the speed of a free finger.
                    damping=self._force / protocol.closing_speed,
                )
            )  # fmt: skip
            plant.AddJointActuator(side, joint)
            self._add_boxes(link, boxes)
        for axis, joint in zip(AXES, turns, strict=True):
            motor = plant.AddJointActuator(axis, joint)
            motor.set_default_gear_ratio(1.0)
            motor.set_default_rotor_inertia(protocol.base_inertia)
        right, left = (plant.GetJointByName(side) for side in SIDES)
        plant.AddCouplerConstraint(right, left, 1.0, 0.0)

    def _add_boxes(self, link: Any, boxes: tuple[Box, ...]) -> None:
        for index, box in enumerate(boxes):
            surface = self._surface()
            # The hint sets the size of a curved shape's elements; a box needs none but a number.
            geometry.AddCompliantHydroelasticProperties(1.0, self._contact.modulus, surface)
            place = RigidTransform(box.centre - self._gripper.tool_center_point)
            shape = geometry.Box(*(2 * box.half_extents))
            self._plant.RegisterCollisionGeometry(
                link, place, shape, f"{link.name()}{index}", surface
            )

    def _add_object(self, obj: Object, body: Body) -> None:
        inertia = body.inertia / body.mass
        moments = [inertia[0, 0], inertia[1, 1], inertia[2, 2]]
        products = [inertia[0, 1], inertia[0, 2], inertia[1, 2]]
        self._object = self._plant.AddRigidBody(
            "object", SpatialInertia(self._mass, np.zeros(3), UnitInertia(*moments, *products))
        )
        surface = self._surface()
        geometry.AddRigidHydroelasticProperties(surface)
        text = _wavefront(obj.vertices - body.centre, touchable_faces(obj))
        mesh = geometry.Mesh(geometry.InMemoryMesh(mesh_file=MemoryFile(text, ".obj", "object")))
        self._plant.RegisterCollisionGeometry(
            self._object, RigidTransform(), mesh, "object", surface
        )

    def _surface(self) -> geometry.ProximityProperties:
        properties, friction = geometry.ProximityProperties(), self._friction
        # Two surfaces with the same coefficient of friction have this coefficient together.
        geometry.AddContactMaterial(
            self._contact.dissipation, None, CoulombFriction(friction, friction), properties
        )
        return properties

    def _shapes(self, link: str) -> list[Any]:
        found: list[Any] = self._plant.GetCollisionGeometriesForBody(
            self._plant.GetBodyByName(link)
        )
        return found


def touchable_faces(obj: Object) -> Int[np.ndarray, "faces 3"]:
    """Return the faces of a mesh, and once more in reverse each face without a known outside.

    Drake ignores a contact at the back of a face.

    Args:
        obj: Mesh.
    """
    assert obj.faces is not None and obj.sided is not None
    return np.concatenate([obj.faces, obj.faces[~obj.sided][:, ::-1]])


def _wavefront(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> str:
    """Return a mesh as the text of an .obj file, the form in which Drake accepts it."""
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices.tolist()]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces.tolist()]
    return "\n".join(lines) + "\n"
