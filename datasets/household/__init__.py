"""Sets of objects to grasp: synthetic objects of procedural families, or meshes from files.

`python -m datasets.household --count 60 --output data/household` writes a set of synthetic objects:
meshes, exact convex parts, a catalogue and pictures of the objects. In Python, `make` returns one
object and `make_set` yields the objects of a set.
"""

from datasets.household.catalogue import Entry, read_catalogue, write_set
from datasets.household.objects import FAMILIES, HouseholdObject, make, make_set

__all__ = [
    "FAMILIES",
    "Entry",
    "HouseholdObject",
    "make",
    "make_set",
    "read_catalogue",
    "write_set",
]
