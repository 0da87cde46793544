"""Label grasps for a set of objects: every candidate is simulated and stored with its outcome.

`python -m datasets.labels data/household --gripper panda` labels a set that `datasets.household`
wrote, or any folder of meshes. In Python, `label_folder` does the same.
"""

from datasets.labels.folder import Assumptions, LabellingResult, label_folder
from datasets.labels.labelling import Job, Settings, label

__all__ = ["Assumptions", "Job", "LabellingResult", "Settings", "label", "label_folder"]
