"""Programs that generate data sets or convert published ones into this project's file formats.

Run them from the checkout: `python -m datasets.NAME --help`.
"""
