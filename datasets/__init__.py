"""Makers and converters: any source to the canonical files, run from the checkout.

Each is a program, `python -m datasets.NAME --help`.
"""
