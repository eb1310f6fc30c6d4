"""The conformance kit: images, and what a port of the pipeline has to make of them.

`record` writes one; `lesionlite_export.conformance` judges what a port brought back.
"""
