"""The public names of `grasp.field.batches` under the path that they had in version 0.1.0."""

from grasp.field.batches import draw_batch, sample_batch

__all__ = ["draw_batch", "sample_batch"]
