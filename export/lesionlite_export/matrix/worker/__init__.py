"""A folder of its own, so that the worker finds none of lesionlite's modules beside it."""
