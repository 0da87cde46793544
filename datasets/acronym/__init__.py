"""Combine ACRONYM and ShapeNetSem into a set of objects with labelled grasps.

    python -m datasets.acronym --grasps acronym/grasps --meshes models-OBJ/models --output FOLDER

ACRONYM (Eppner, Mousavian and Fox, ICRA 2021) names the mesh and the scale of each object. The mesh
belongs to ShapeNetSem, which users download separately. ACRONYM's own instructions make each mesh
watertight with Manifold, a program that must be compiled, and then simplify it. This program needs
neither step: it takes each mesh as it was published. Meshes that went through those steps work too.

```
FOLDER/catalogue.json              list of the objects, as in `datasets.household.catalogue`
FOLDER/meshes/NAME.obj             surface in metres, with ACRONYM's scale applied
FOLDER/grasps/panda/NAME.h5        poses in the frame of that mesh, and ACRONYM's labels
FOLDER/grasps/panda/README.md      data card with the licences
```

NAME is the name of the ACRONYM file without its extension, `Category_hash_scale`. The mesh of an
object is written before its grasps, and each file is written in one step. A run that is killed
therefore loses at most one object, and the next run continues from there.
"""
