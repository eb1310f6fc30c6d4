"""How well a model tells labelled photos apart: figures, groups, plots, files and text."""
