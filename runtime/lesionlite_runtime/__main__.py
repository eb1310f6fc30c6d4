"""``python -m lesionlite_runtime`` is the command ``lesionlite``."""

from lesionlite_runtime.cli import run

run()
