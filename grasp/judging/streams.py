"""Random streams of the judge: one stream per purpose, object and seed."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from grasp.objects.object import Object


class Stream(IntEnum):
    """The purpose of a random draw, which is the second word of its seed.

    Different purposes have different values, so no two draws share a stream. Values from 100 on are
    reserved for programs outside the library, such as `datasets.labels`.

    Attributes:
        CANDIDATES: Antipodal candidates of an object.
        SOURCE: Grasps of the source under evaluation.
        MATCHING: Choice of the grasps that are matched for the earth mover's distance.
        BOOTSTRAP: Resampling of objects for the intervals; it depends on the seed only.
    """

    CANDIDATES = 1
    SOURCE = 2
    MATCHING = 3
    BOOTSTRAP = 4


def object_generator(seed: int, stream: int, obj: Object) -> np.random.Generator:
    """Create the random generator for one purpose, one object and one seed.

    Args:
        seed: Seed, at least 0.
        stream: Purpose of the draws, a `Stream` or a value from 100 on.
        obj: The object; its geometry determines the stream, its name does not.
    """
    return np.random.default_rng([seed, int(stream), int(obj.sha256, 16)])
