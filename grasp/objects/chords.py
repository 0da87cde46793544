"""Chords of a solid along its surface normals, which tell whether a hand can span the object."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from grasp.objects.object import Object
from grasp.objects.rays import Target
from pcdiff.errors import InputError

_POINTS = 4000  # number of chords
_SEED = 0  # the same chords for every seed of a sampler
_SLANT = math.radians(45)  # largest angle between a chord and the normal where it leaves
_THINNEST = 2e-4  # metres; a ray may hit the face that it leaves, so nearer crossings do not count


def narrowest_chord(obj: Object) -> float:
    """Return the length in metres of the shortest chord along which a jaw can close on an object.

    A chord starts at a point of the surface, follows the inward normal, and ends where it leaves
    the object at an angle of at most 45° to the normal there. The points are always the same, so
    the length depends only on the mesh. It is infinite if there is no such chord.

    Args:
        obj: A mesh. The outside of a face without a known outside (`Object.sided`) may be either.

    Raises:
        InputError: If the object is a point cloud.
    """
    if obj.faces is None or obj.sided is None:
        raise InputError(f"{obj.file or obj.name} is a point cloud, which has no chords")
    points, face = obj.surface_faces(_POINTS, np.random.default_rng(_SEED))
    inward = -obj.face_normals[face]
    sided = obj.sided
    either = np.flatnonzero(~sided[face])
    starts = np.concatenate([points, points[either]])
    along = np.concatenate([inward, -inward[either]])
    hits = Target(obj.vertices, obj.faces).all(starts, along)
    slope: Float[np.ndarray, " hits"] = np.where(sided[hits.face], hits.slope, np.abs(hits.slope))
    ends = (hits.distance > _THINNEST) & (slope >= math.cos(_SLANT))
    return float(hits.distance[ends].min(initial=math.inf))
