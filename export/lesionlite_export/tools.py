"""The tools whose versions a contract records."""

from __future__ import annotations

import contextlib
import importlib.metadata

TOOLS = ("tensorflow", "keras", "litert-quantizer", "ai-edge-litert", "numpy", "pillow")


def tool_versions() -> dict[str, str]:
    """The versions of the tools that a file's bytes depend on, as far as they are installed."""
    found = {}
    for tool in TOOLS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[tool] = importlib.metadata.version(tool)
    return found
