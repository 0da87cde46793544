"""The judge of any source of grasps.

From the bottom up: `contacts`, `candidates` and the `antipodal` baseline; the metrics in
`proportions`, `coverage` and `calibration`; random `streams` and `labels`; then `report`,
`evaluation` and `sources`.
"""
