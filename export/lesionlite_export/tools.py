"""The tools whose versions a contract records."""

from __future__ import annotations

import importlib.metadata

TOOLS = ("tensorflow", "keras", "litert-quantizer", "ai-edge-litert", "numpy", "pillow")


def tool_versions() -> dict[str, str]:
    """The versions of the tools that a file's bytes depend on."""
    return {tool: importlib.metadata.version(tool) for tool in TOOLS}
