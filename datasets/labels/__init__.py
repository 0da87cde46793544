"""Label grasps for a set of objects: simulate every candidate and store the outcomes.

`python -m datasets.labels data/household --gripper panda` labels a set that `datasets.household`
wrote, or any folder of meshes. In Python, call `label_folder`. `grasp.labelling` does the work.
"""

from datasets.labels.folder import Assumptions, LabellingResult, label_folder
from grasp.labelling.jobs import Job, Settings, label

__all__ = ["Assumptions", "Job", "LabellingResult", "Settings", "label", "label_folder"]
