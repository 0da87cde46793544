"""Make the frozen benchmark sets, on which sources of grasps are compared.

`python -m datasets.frozen --meshes FOLDER --output sets` makes the sets that
`experiments/splits.json` describes, and checks that each set has the digest stated there.
`grasp.judging.benchmark.load_set` reads a set. The modules are:

- `splits`: reads `experiments/splits.json`, and divides scanned meshes into two halves;
- `sets`: makes the cases of each set;
- `resting`, `rough`, `large`: resting poses, damaged meshes, and objects that fit no hand;
- `folder`: writes the files of a set; `sheet`: draws the cases of a set.
"""
