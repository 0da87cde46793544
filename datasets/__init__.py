"""Makers and converters: programs that turn any source into the canonical files.

They run from the checkout: `python -m datasets.NAME --help`.
"""
