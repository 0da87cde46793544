"""Solids with exactly known opposite contacts, and grasps at these contacts."""

from __future__ import annotations

import numpy as np
from trimesh.creation import annulus, box

from grasp.judging.contacts import Contacts
from grasp.objects.object import Object


def rng(seed=0):
    return np.random.default_rng(seed)


def of(mesh, name="object"):
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces), name=name)


def turned(obj, rotation):
    return Object.from_mesh(obj.vertices @ rotation.T, np.array(obj.faces), name=obj.name)


PLATE = of(box((0.02, 0.3, 0.3)), "plate")
BLOCK = of(box((0.09, 0.1, 0.11)), "block")
BAR = of(box((0.02, 0.02, 0.2)), "bar")
TUBE = of(annulus(0.03, 0.034, 0.1, sections=64), "tube")


def torn_plate():
    faces = np.array(PLATE.faces)
    faces = np.delete(faces, np.abs(PLATE.mesh().face_normals[:, 1]) > 0.5, axis=0)  # no lid
    faces[::2] = faces[::2, ::-1]
    return Object.from_mesh(np.array(PLATE.vertices), faces)


def folded_sheet(turned=False):
    """A sheet folded to an S, with plates at x = ±2 cm and 0; neither side is the outside."""
    half, gap = 0.1, 0.02
    path = [(gap, half), (gap, -half), (0, -half), (0, half), (-gap, half), (-gap, -half)]
    vertices = np.array([[x, y, z] for x, y in path for z in (-half, half)])
    quads = np.array([[i, i + 2, i + 3, i + 1] for i in range(0, 10, 2)])
    faces = np.concatenate([quads[:, [0, 1, 3]], quads[:, [3, 1, 2]]])
    return Object.from_mesh(vertices, faces[:, ::-1] if turned else faces)


def pair(*points, normals=((-1, 0, 0), (1, 0, 0))):
    points = np.array(points, float)
    return Contacts(points, np.array([normals] * len(points), float))


def poses_at(contacts, depth):
    """Poses of hands that approach from above, with the contacts at a given depth."""
    poses = np.zeros((len(contacts), 4, 4))
    poses[:, :3, :3] = np.diag([1.0, -1.0, -1.0])
    poses[:, :3, 3] = contacts.centre + np.array([0, 0, depth])
    poses[:, 3, 3] = 1
    return poses
