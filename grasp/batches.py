"""The 0.1.0 path of `grasp.field.batches`."""

from grasp.field.batches import draw_batch, sample_batch

__all__ = ["draw_batch", "sample_batch"]
