"""Objects to grasp: an unlimited, seeded supply from procedural families, or meshes from elsewhere.

`python -m datasets.household --count 60 --output data/household` writes a set of them: meshes,
exact convex parts, a catalogue and a sheet of pictures. In Python, `make` returns one object and
`make_set` yields many.
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
