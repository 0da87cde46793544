"""Judge any source of grasps by physics.

The package consists of these modules, in the order of their dependencies: `contacts`, `candidates`
and the `antipodal` baseline; the metrics in `proportions`, `coverage` and `calibration`; the random
`streams` and the `labels`; then `report`, `evaluation` and `sources`.
"""
