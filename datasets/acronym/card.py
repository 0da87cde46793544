"""The data card of a set, which states licences, files and counts."""

from __future__ import annotations

from collections.abc import Sequence

from datasets.acronym.reading import PROTOCOL
from datasets.household.catalogue import Entry


def card(entries: Sequence[Entry]) -> str:
    """Return the data card in Markdown.

    Args:
        entries: Entries of the set's catalogue.
    """
    families: dict[str, list[Entry]] = {}
    for entry in entries:
        families.setdefault(entry.family, []).append(entry)
    rows = [
        f"| {family} | {len(group)} | {total(group, 'grasps')} "
        f"| {100 * total(group, 'successes') / total(group, 'grasps'):.1f} % |"
        for family, group in families.items()
    ]
    return _CARD.format(
        objects=len(entries),
        grasps=total(entries, "grasps"),
        protocol=PROTOCOL,
        rows="\n".join(rows),
    )


def total(entries: Sequence[Entry], parameter: str) -> int:
    """Sum one parameter over the entries of a catalogue.

    Args:
        entries: Entries of the catalogue; the parameter must be an integer in every entry.
        parameter: Name of the parameter, `grasps` or `successes`.
    """
    return sum(int(entry.parameters[parameter]) for entry in entries)


_CARD = """# ACRONYM's grasps on ShapeNetSem's meshes

{objects} objects with {grasps} grasps of the Franka hand, prepared by `python -m datasets.acronym`
from a download of ACRONYM and one of ShapeNetSem.

## Licences

- Grasps and labels: ACRONYM, [CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/).
  **Not for commercial use**, and attribution is required. Changes: the files name other meshes, in
  metres, and state unit, frame and origin.
- Meshes: ShapeNetSem, under [ShapeNet's terms of use](https://shapenet.org/terms): only for
  non-commercial research and education, and not to be redistributed. Changes: converted to metres
  and triangles, materials removed.

Anyone who trains a network on this set must respect both.

## What is in a file

`grasps/panda/NAME.h5` has ACRONYM's schema. Lengths are in metres and masses in kilograms.

- `object/file`: the mesh, relative to the folder that holds `grasps` and `meshes`;
  `object/scale` is 1, since the mesh is in metres. ACRONYM's scale is in `pcdiff_grasp/sampler`.
- `grasps/transforms`: the pose of the hand's base (+z approach, +x closing direction) in the frame
  of the mesh file, whose axes and origin are ShapeNetSem's.
- `grasps/qualities/flex/object_in_gripper`: 1 where the grasp held in ACRONYM's simulation with
  FleX. The attribute `protocol` is "{protocol}"; no grasp was simulated again elsewhere.
- `pcdiff_grasp`, attribute `object_sha256`: digest of the geometry, as
  `grasp.objects.loading.load_object` computes it.

## What to know

- The meshes are ShapeNetSem's original surfaces. They may be open, doubled, or have faces inside.
  ACRONYM labelled its grasps with watertight, simplified versions, whose surfaces differ slightly,
  most of all on thin sheets.
- `object/mass`, `com`, `inertia`, `volume` and `density` (150 kg/m³) describe those versions.
- The candidates are antipodal; the share that held is specific to ACRONYM's sampler.

| category | objects | grasps | held |
|---|---|---|---|
{rows}

## Sources

- C. Eppner, A. Mousavian, D. Fox: "ACRONYM: A Large-Scale Grasp Dataset Based on Simulation",
  ICRA 2021.
- M. Savva, A. X. Chang, P. Hanrahan: "Semantically-Enriched 3D Models for Common-sense Knowledge",
  CVPR 2015 Vision meets Cognition Workshop.
- A. X. Chang et al.: "ShapeNet: An Information-Rich 3D Model Repository", arXiv:1512.03012, 2015.
"""
