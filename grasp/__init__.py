"""Grasps as poses on SE(3): the second head on the diffusion core of `pcdiff`.

Importing this package imports nothing else, so that what needs no torch starts without it.
"""
