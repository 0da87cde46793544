"""Labelled grasps of a set of objects: candidates that went through physics, whatever came of it.

`python -m datasets.labels data/household --gripper panda` labels a set that `datasets.household`
wrote, or any folder of meshes. In Python, `label_folder` does the same.
"""

from datasets.labels.folder import Labelled, label_folder
from datasets.labels.labelling import Job, Settings, label

__all__ = ["Job", "Labelled", "Settings", "label", "label_folder"]
