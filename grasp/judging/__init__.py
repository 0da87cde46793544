"""Judge any source of grasps by physics.

The modules, where later ones use earlier ones: `contacts`, `candidates` and the `antipodal`
baseline; the metrics in `proportions`, `coverage` and `calibration`; the random `streams` and the
`labels`; then `report`, `evaluation` and `sources`.
"""
