"""Run coacd in its own process: `run_coacd.py MESH.npz PARTS.npz MODE SETTINGS`.

On some meshes, even on valid meshes, coacd aborts the calling process, because an assertion in its
test for self-intersections fails. So the library runs this file in a separate process and survives
the abort.
"""

from __future__ import annotations

import json
import sys

import numpy as np


def main() -> None:
    """Decompose the mesh in MESH.npz and write its convex parts to PARTS.npz."""
    import coacd

    source, target, mode, settings = sys.argv[1:]
    with np.load(source) as mesh:
        solid = coacd.Mesh(mesh["vertices"], mesh["faces"])
    coacd.set_log_level("error")
    parts = coacd.run_coacd(solid, preprocess_mode=mode, **json.loads(settings))
    arrays: dict[str, np.ndarray] = {}
    for index, (vertices, faces) in enumerate(parts):
        arrays |= {f"vertices{index}": vertices, f"faces{index}": faces}
    np.savez(target, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
