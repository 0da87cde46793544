"""Run coacd in its own process: `run_coacd.py MESH.npz PARTS.npz MODE SETTINGS`.

On some meshes, even on sound ones, coacd aborts the process that calls it, because an assertion in
its test for self-intersections fails. The caller must survive this, so it runs this file as a
program.
"""

from __future__ import annotations

import json
import sys

import numpy as np


def main() -> None:
    """Decompose the mesh in one file and write its convex parts to another."""
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
