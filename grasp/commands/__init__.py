"""The commands of `grasp`, one per file, and helpers that several commands share."""
