"""Grippers from URDF files whose numbers are known, and hands that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasp.grippers.from_urdf import HandOptions, gripper_from_urdf
from grasp.grippers.gripper import load_gripper
from grasp.pictures import draw_gripper
from pcdiff.errors import InputError

PALM = '<link name="palm"><inertial><mass value="0.5"/></inertial>{collision}</link>'
BOX = '<collision><origin xyz="{xyz}"/><geometry><box size="{size}"/></geometry></collision>'
JAW = (
    '<link name="{name}"><inertial><mass value="0.1"/></inertial>{collision}</link>'
    '<joint name="{name}_joint" type="{type}"><parent link="{parent}"/><child link="{name}"/>'
    '<origin xyz="{xyz}" rpy="{rpy}"/><axis xyz="{axis}"/>{limit}{more}</joint>'
)
LIMIT = '<limit lower="0" upper="0.03" effort="40" velocity="1"/>'

PALM_BOX = BOX.format(xyz="0 0 0.03", size="0.12 0.06 0.06")
# Pads 2 cm long at z = 0.09 to 0.11 on fingers that begin at z = 0.06 (the jaws' origin).
FINGER = {
    1: BOX.format(xyz="0.012 0 0.015", size="0.016 0.02 0.03")
    + BOX.format(xyz="0.01 0 0.04", size="0.02 0.014 0.02"),
    -1: BOX.format(xyz="-0.012 0 0.015", size="0.016 0.02 0.03")
    + BOX.format(xyz="-0.01 0 0.04", size="0.02 0.014 0.02"),
}


def jaw(name, side, **changes):
    """The jaw at +x or −x of a hand along +z; at position 0 the pads meet at x = 0."""
    given = {
        "name": name, "type": "prismatic", "parent": "palm", "xyz": "0 0 0.06", "rpy": "0 0 0",
        "axis": f"{side} 0 0", "limit": LIMIT, "more": "", "collision": FINGER[side],
    }  # fmt: skip
    return JAW.format(**{**given, **changes})


def hand(tmp_path, *elements, palm=PALM_BOX, name="two_jaws"):
    """Write a hand; without elements, one with two free jaws."""
    body = "".join(elements or (jaw("right", 1), jaw("left", -1)))
    path = tmp_path / "hand.urdf"
    path.write_text(f'<robot name="{name}">{PALM.format(collision=palm)}{body}</robot>')
    return path


def check(gripper, tolerance=1e-6):
    """The numbers of the hand above, by hand."""
    assert gripper.stroke == pytest.approx(0.06, abs=tolerance)
    assert gripper.pad == pytest.approx((0.09, 0.11), abs=tolerance)
    assert gripper.tool_center_point == pytest.approx([0, 0, 0.1], abs=tolerance)
    assert (gripper.max_force, gripper.mass) == (40.0, pytest.approx(0.7))
    (palm,) = gripper.hand_boxes
    np.testing.assert_allclose(palm.centre, [0, 0, 0.03], atol=tolerance)
    np.testing.assert_allclose(palm.half_extents, [0.06, 0.03, 0.03], atol=tolerance)
    shaft, tip = gripper.finger_boxes
    np.testing.assert_allclose(shaft.centre, [0.012, 0, 0.075], atol=tolerance)
    np.testing.assert_allclose(shaft.half_extents, [0.008, 0.01, 0.015], atol=tolerance)
    np.testing.assert_allclose(tip.centre, [0.01, 0, 0.1], atol=tolerance)
    np.testing.assert_allclose(tip.half_extents, [0.01, 0.007, 0.01], atol=tolerance)


def test_a_hand_of_boxes(tmp_path):
    found = gripper_from_urdf(hand(tmp_path))
    check(found.gripper)
    assert (found.link, found.joints, found.notes) == ("palm", ("right_joint", "left_joint"), ())
    np.testing.assert_allclose(found.T_link_grasp, np.eye(4), atol=1e-15)
    path = tmp_path / "hand.toml"
    path.write_text(found.text())
    read = load_gripper(path)
    assert (read.name, read.sha256) == ("two_jaws", found.gripper.sha256)
    assert "# Jaws: right_joint at +x, left_joint at -x." in path.read_text()


@pytest.mark.parametrize("left_first", [False, True])
@pytest.mark.parametrize(
    "how", ["mimic", "mimic along the axis", "mirrored frame", "closed at the top"]
)
def test_ways_to_write_the_same_jaws(how, left_first, tmp_path):
    mimic = '<mimic joint="right_joint" multiplier="{}"/>'
    right, left = jaw("right", 1), jaw("left", -1)
    if how == "mimic":
        left = jaw("left", -1, more=mimic.format(1))
    elif how == "mimic along the axis":
        left = jaw("left", -1, axis="1 0 0", more=mimic.format(-1))
    elif how == "mirrored frame":  # the jaw at +x, turned by π around z, as in Franka's hand
        left = jaw("left", 1, rpy="0 0 3.14159265358979")
    else:
        low = LIMIT.replace('lower="0" upper="0.03"', 'lower="-0.03" upper="0"')
        right, left = (
            jaw("right", 1, axis="-1 0 0", limit=low),
            jaw("left", -1, axis="1 0 0", limit=low),
        )
    order = (left, right) if left_first else (right, left)
    found = gripper_from_urdf(hand(tmp_path, *order))
    check(found.gripper)
    # Which of two equal jaws is at +x is arbitrary: both choices differ by half a turn.
    turn = found.T_link_grasp[:3, :3]
    np.testing.assert_allclose(np.abs(turn), np.eye(3), atol=1e-9)
    np.testing.assert_allclose(turn[:, 2], [0, 0, 1], atol=1e-9)


@pytest.mark.parametrize(
    "rpy", ["0 0 1.5707963", "0 1.5707963 0", "1.5707963 0 0", "3.1415926 0 0", "0 0 0.7853981"]
)
def test_the_description_does_not_depend_on_the_base_link(rpy, tmp_path):
    """A mounting plate below the palm, in any pose, changes only the pose of the frame."""
    offset = np.array([0.2, -0.1, 0.05])
    mount = (
        '<link name="mount"/><joint name="m" type="fixed"><parent link="mount"/>'
        f'<child link="palm"/><origin xyz="0.2 -0.1 0.05" rpy="{rpy}"/></joint>'
    )
    path = hand(tmp_path, jaw("right", 1), jaw("left", -1), mount)
    found = gripper_from_urdf(path)
    assert found.link == "mount"
    T_mount_palm = np.eye(4)
    T_mount_palm[:3, :3] = Rotation.from_euler("xyz", [float(a) for a in rpy.split()]).as_matrix()
    T_mount_palm[:3, 3] = offset
    # The jaws and their pads are where they were, seen from the palm.
    T_palm_grasp = np.linalg.inv(T_mount_palm) @ found.T_link_grasp
    np.testing.assert_allclose(T_palm_grasp[:3, 2], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(np.abs(T_palm_grasp[:3, :3]), np.eye(3), atol=1e-6)
    np.testing.assert_allclose(T_palm_grasp[:2, 3], [0, 0], atol=1e-6)
    # The origin is the point of the approach axis nearest to the origin of the mount.
    assert found.T_link_grasp[:3, 2] @ found.T_link_grasp[:3, 3] == pytest.approx(0, abs=1e-9)
    raised = float(found.T_link_grasp[:3, 2] @ (T_mount_palm[:3, 3]))
    assert found.gripper.pad == pytest.approx((0.09 + raised, 0.11 + raised), abs=2e-6)
    assert found.gripper.stroke == pytest.approx(0.06, abs=1e-5)


def test_pads_of_mesh_jaws_are_the_flat_faces_of_their_inner_sides(tmp_path):
    """Jaws in the shape of an L: only the tip, from z = 0.09 to 0.11, reaches the middle."""
    shaft = trimesh.creation.box(bounds=[[0.01, -0.01, 0], [0.02, 0.01, 0.05]])
    tip = trimesh.creation.box(bounds=[[0, -0.008, 0.03], [0.02, 0.008, 0.05]])
    both = trimesh.util.concatenate([shaft, tip])
    (tmp_path / "meshes").mkdir()
    for name, sign in (("right", 1), ("left", -1)):
        mesh = both.copy()
        mesh.apply_transform(np.diag([1000.0 * sign, 1000, 1000, 1]))
        mesh.export(tmp_path / "meshes" / f"{name}.stl")
    mesh = '<collision><geometry><mesh filename="{}" scale="{}"/></geometry></collision>'
    scale = "0.001 0.001 0.001"
    path = hand(
        tmp_path,
        jaw("right", 1, collision=mesh.format("package://two_jaws/meshes/right.stl", scale)),
        jaw("left", -1, collision=mesh.format("meshes/left.stl", scale)),
    )
    found = gripper_from_urdf(path)
    assert found.gripper.pad == pytest.approx((0.09, 0.11), abs=1e-6)
    assert found.gripper.stroke == pytest.approx(0.06, abs=1e-6)
    (finger,) = found.gripper.finger_boxes
    np.testing.assert_allclose(finger.centre, [0.01, 0, 0.085], atol=1e-6)
    np.testing.assert_allclose(finger.half_extents, [0.01, 0.01, 0.025], atol=1e-6)


def test_a_hand_on_an_arm_begins_at_the_link_that_carries_the_jaws(tmp_path):
    arm = (
        '<link name="base"/><joint name="elbow" type="revolute"><parent link="base"/>'
        '<child link="palm"/><origin xyz="0 0 1"/><axis xyz="0 1 0"/></joint>'
    )
    found = gripper_from_urdf(hand(tmp_path, jaw("right", 1), jaw("left", -1), arm))
    assert found.link == "palm"
    check(found.gripper)


def test_what_a_description_leaves_out_can_be_stated(tmp_path):
    silent = LIMIT.replace(' effort="40"', "")
    path = hand(tmp_path, jaw("right", 1, limit=silent), jaw("left", -1, limit=silent))
    path.write_text(path.read_text().replace('value="0.', 'value="0.0'))
    with pytest.raises(InputError, match="max_force must be above 0 newtons, but") as error:
        gripper_from_urdf(path)
    assert error.value.parameter == "max_force"
    options = HandOptions(name="mine", max_force=12.0, mass=0.25, approach="+z")
    found = gripper_from_urdf(path, options).gripper
    assert (found.name, found.max_force, found.mass) == ("mine", 12.0, 0.25)
    with pytest.raises(InputError, match="must be perpendicular to the motion of the jaws"):
        gripper_from_urdf(path, HandOptions(approach="-x", max_force=1.0))
    with pytest.raises(InputError, match="the approach must be one of"):
        gripper_from_urdf(path, HandOptions(approach="up"))


def test_the_name_of_a_shipped_gripper_is_not_taken(tmp_path):
    found = gripper_from_urdf(hand(tmp_path, name="panda"))
    assert found.gripper.name == "panda_urdf" and "has another description" in found.notes[0]
    with pytest.raises(InputError, match="must not be that of a shipped gripper, got 'panda'"):
        gripper_from_urdf(hand(tmp_path), HandOptions(name="panda"))
    assert gripper_from_urdf(hand(tmp_path, name="a/../b c")).gripper.name == "a_.._b_c"


TURNING = {"type": "revolute"}
SIDEWAYS = {"axis": "0 1 0"}
REFUSED = {
    "turning fingers": (
        [jaw("right", 1, **TURNING), jaw("left", -1, **TURNING)],
        r"the fingers turn \(right_joint, left_joint\)",
    ),
    "three jaws": (
        [jaw("right", 1), jaw("left", -1), jaw("third", 1)],
        r"must have two prismatic joints, got 3 \(right_joint, left_joint, third_joint\)",
    ),
    "one jaw": ([jaw("right", 1)], r"two prismatic joints, got 1 \(right_joint\)"),
    "a turning wrist below the palm": (
        [jaw("right", 1), jaw("left", -1), jaw("thumb", 1, **TURNING)],
        "must have no other moving joints, got thumb_joint",
    ),
    "one jaw carries the other": (
        [jaw("right", 1), jaw("left", -1, parent="right")],
        "the jaw left is carried by the jaw right",
    ),
    "jaws along two lines": (
        [jaw("right", 1), jaw("left", -1, **SIDEWAYS)],
        r"must move along one line, but right_joint and left_joint differ by 90\.0°",
    ),
    "unequal travel": (
        [jaw("right", 1), jaw("left", -1, limit=LIMIT.replace("0.03", "0.01"))],
        r"must move equally and oppositely, but they move by 0\.03 m and -0\.01 m",
    ),
    "jaws that move together": (
        [jaw("right", 1), jaw("left", -1, more='<mimic joint="right_joint" multiplier="-1"/>')],
        "must move equally and oppositely",
    ),
    "mimics another joint": (
        [jaw("right", 1), jaw("left", -1, more='<mimic joint="elsewhere"/>')],
        "left_joint must mimic the joint of the other jaw",
    ),
    "no limits": (
        [jaw("right", 1, limit=""), jaw("left", -1)],
        "right_joint must have limits with lower below upper",
    ),
    "no collision geometry": (
        [jaw("right", 1, collision=""), jaw("left", -1)],
        "the jaw right has no collision geometry",
    ),
    "not mirror images": (
        [jaw("right", 1), jaw("left", -1, collision=FINGER[-1].replace("0.014", "0.04"))],
        r"must be mirror images, but their boxes differ by 10\.0 mm",
    ),
    "jaws inside the palm": (
        [jaw("right", 1, xyz="0 0 0.005"), jaw("left", -1, xyz="0 0 0.005")],
        "approach direction is ambiguous, because the jaws are not on one side",
    ),
    "oblique jaws": (
        [jaw("right", 1, xyz="0 0.06 0.06"), jaw("left", -1, xyz="0 0.06 0.06")],
        "approach direction is ambiguous, because the jaws lie obliquely",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_unsuitable_and_ambiguous_hands_are_refused_with_the_reason(case, tmp_path):
    elements, sentence = REFUSED[case]
    palm = BOX.format(xyz="0 0 0.03", size="0.12 0.06 0.06")
    with pytest.raises(InputError, match=sentence) as error:
        gripper_from_urdf(hand(tmp_path, *elements, palm=palm))
    assert "\n" not in str(error.value) and "hand.urdf" in str(error.value)


BROKEN = {
    "an entity": (
        '<!DOCTYPE r [<!ENTITY a "b">]><robot name="&a;"/>',
        "must have no document type",
    ),
    "xacro": ('<robot xmlns:xacro="x"><xacro:hand/></robot>', "is a xacro file: expand it"),
    "no XML": ("robot", "is not XML"),
    "another root": ("<sdf/>", "expected the element robot, got sdf"),
    "no links": ("<robot/>", "expected links with different names"),
    "two roots": ('<robot><link name="a"/><link name="b"/></robot>', "one root, got 2 roots"),
    "a circle": (
        '<robot><link name="a"/><link name="b"/><link name="c"/>'
        '<joint name="j" type="fixed"><parent link="b"/><child link="c"/></joint>'
        '<joint name="k" type="fixed"><parent link="c"/><child link="b"/></joint></robot>',
        "some links are not joined to the root",
    ),
    "a missing link": (
        '<robot><link name="a"/><joint name="j" type="fixed"><parent link="a"/>'
        '<child link="x"/></joint></robot>',
        "the joint j names the link x, which is missing",
    ),
    "a bad number": (
        '<robot><link name="a"><inertial><mass value="heavy"/></inertial></link></robot>',
        "value of the mass of a must be 1 finite numbers, got 'heavy'",
    ),
    "an infinite size": (
        '<robot><link name="a"><collision><geometry><box size="1 inf 1"/></geometry></collision>'
        "</link></robot>",
        "size of the box of a must be 3 finite numbers",
    ),
    "an unknown joint": (
        '<robot><link name="a"/><joint name="j" type="magic"/></robot>',
        "type of the joint j must be one of",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_descriptions_are_refused(case, tmp_path):
    text, sentence = BROKEN[case]
    (tmp_path / "hand.urdf").write_text(text)
    with pytest.raises(InputError, match=sentence) as error:
        gripper_from_urdf(tmp_path / "hand.urdf")
    assert str(tmp_path / "hand.urdf") in str(error.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../secret.stl", "must lie in the folder"),
        ("package://../../secret.stl", "must lie in the folder|is missing"),
        ("link.stl", "must lie in the folder"),
        ("/etc/hostname", "must lie in the folder|is missing"),
        ("file:///etc/hostname", "must lie in the folder|is missing"),
        ("http://example.org/a.stl", "must be a file or package://"),
        ("nothing.stl", "is missing in the folder"),
        ("", "is missing in the folder"),
    ],
)
def test_meshes_outside_the_folder_are_not_read(name, sentence, tmp_path):
    folder = tmp_path / "hand"
    folder.mkdir()
    trimesh.creation.box((1, 1, 1)).export(tmp_path / "secret.stl")
    (folder / "link.stl").symlink_to(tmp_path / "secret.stl")
    mesh = f'<collision><geometry><mesh filename="{name}"/></geometry></collision>'
    with pytest.raises(InputError, match=sentence) as error:
        gripper_from_urdf(hand(folder, jaw("right", 1, collision=mesh), jaw("left", -1)))
    assert "[Errno" not in str(error.value)


def test_a_wider_folder_of_meshes_can_be_named(tmp_path):
    folder = tmp_path / "description" / "urdf"
    folder.mkdir(parents=True)
    meshes = tmp_path / "description" / "meshes"
    meshes.mkdir()
    for sign in (1, -1):
        bounds = np.sort([[0, -0.01, 0.03], [sign * 0.02, 0.01, 0.05]], axis=0)
        trimesh.creation.box(bounds=bounds).export(meshes / f"{sign}.stl")
    mesh = '<collision><geometry><mesh filename="{}"/></geometry></collision>'
    path = hand(
        folder,
        jaw("right", 1, collision=mesh.format("package://description/meshes/1.stl")),
        jaw("left", -1, collision=mesh.format("../meshes/-1.stl")),
    )
    with pytest.raises(InputError, match=r"is missing in the folder|must lie in the folder"):
        gripper_from_urdf(path)
    found = gripper_from_urdf(path, HandOptions(meshes=tmp_path / "description"))
    assert found.gripper.stroke == pytest.approx(0.06)


def test_the_picture_shows_the_pads_and_both_axes(tmp_path):
    found = gripper_from_urdf(hand(tmp_path))
    picture = draw_gripper(found.gripper, found.meshes(), size=120)
    assert picture.shape[1] == 240 and picture.shape[0] > 240
    rows = np.split(picture, [picture.shape[0] // 2])
    for row in rows:
        red, green, blue = (row[..., i].astype(int) for i in range(3))
        assert ((green - red > 40) & (green - blue > 10)).sum() > 10  # pads
        assert ((red - green > 60) & (red - blue > 60)).sum() > 10  # closing direction
        assert ((blue - red > 40) & (blue - green > 20)).sum() > 10  # approach
