"""Label grasps for a set of objects: simulate every candidate and store the outcomes.

`python -m datasets.labels data/household --gripper panda` labels a set that `datasets.household`
wrote, or any folder of meshes. In Python, call `label_folder`.
"""

from datasets.labels.folder import Assumptions, LabellingResult, label_folder
from datasets.labels.labelling import Job, Settings, label

__all__ = ["Assumptions", "Job", "LabellingResult", "Settings", "label", "label_folder"]
