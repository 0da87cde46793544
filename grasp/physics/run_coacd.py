"""coacd in a process of its own: `run_coacd.py MESH.npz PARTS.npz MODE SETTINGS`.

On some meshes, sound ones among them, coacd ends the process that calls it (a failed assertion in
its test for self-intersections). The caller must live on, so it runs this file as a program.
"""

from __future__ import annotations

import json
import sys

import numpy as np


def main() -> None:
    """Decompose the mesh of one file and write its parts to another."""
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
