"""Combine ACRONYM and ShapeNetSem into a set of objects with labelled grasps.

    python -m datasets.acronym --grasps acronym/grasps --meshes models-OBJ/models --output FOLDER

ACRONYM (Eppner, Mousavian and Fox, ICRA 2021) names the mesh and the scale of each object. The mesh
belongs to ShapeNetSem, which users download separately. ACRONYM's own instructions make each mesh
watertight with Manifold, a program that must be compiled, and then simplify the mesh. This program
needs neither step: it reads the published meshes. It also reads watertight and simplified meshes.

```
FOLDER/catalogue.json              list of the objects, see `datasets.household.catalogue`
FOLDER/meshes/NAME.obj             surface in metres, with ACRONYM's scale applied
FOLDER/grasps/panda/NAME.h5        poses in the frame of the mesh, and ACRONYM's labels
FOLDER/grasps/panda/README.md      data card with the licences
```

NAME is the name of the ACRONYM file without the extension, `Category_hash_scale`. The program
writes the mesh of an object before its grasps, and writes each file in one step. A run that is
killed therefore loses at most one object, and the next run continues with that object.
"""
