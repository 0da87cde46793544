"""Random streams of an evaluation: one stream of random numbers per purpose, object and seed."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from grasp.objects.object import Object


class Stream(IntEnum):
    """The purposes for which an evaluation draws random numbers.

    The number of the purpose is part of the seed of each random generator, so that no two purposes
    share a stream of random numbers. Numbers from 100 on are reserved for programs outside the
    library, such as `datasets.labels`.

    Attributes:
        CANDIDATES: Antipodal candidates of an object.
        SOURCE: Grasps of the evaluated source.
        MATCHING: Choice of the grasps that are matched for the earth mover's distance.
        BOOTSTRAP: Resampling of objects for confidence intervals; depends only on the seed.
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
        obj: The object. Its geometry affects the stream, but its name does not.
    """
    return np.random.default_rng([seed, int(stream), int(obj.sha256, 16)])
