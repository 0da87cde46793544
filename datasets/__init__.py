"""Programs that generate data sets, or convert published data sets into this project's formats.

Run a program from the root of the checkout: `python -m datasets.NAME --help`.
"""
