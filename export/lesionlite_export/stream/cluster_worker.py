"""What runs on the workers of a Dask cluster. Imported where `distributed` is installed."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from distributed import WorkerPlugin, get_worker

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.stream.look import Found, Looker, Plan
from lesionlite_export.tools import tool_versions
from lesionlite_runtime import __version__
from lesionlite_runtime.errors import MissingHere

_ELSEWHERE = ("tensorflow", "keras", "litert-quantizer")
"""Tools that no worker uses: a Keras network runs on the machine that asks."""


def versions_here() -> Mapping[str, str]:
    """What scores depend on beside the file and the image: versions, and the kind of processor."""
    tools = {name: found for name, found in tool_versions().items() if name not in _ELSEWHERE}
    return {"lesionlite": __version__, **tools, "the processor": platform.machine()}


class PlanPlugin(WorkerPlugin):
    """Keeps a plan, and its interpreters, on every worker that is there or joins later."""

    def __init__(self, name: str, plan: Plan, wanted: Mapping[str, str]) -> None:
        self.name = name
        self._plan = plan
        self._wanted = wanted

    def setup(self, worker: Any) -> None:
        """On a worker, before its first chunk."""
        self._address = worker.address
        self._looker = Looker(self._plan)

    def look(self, images: Sequence[LabelledImage]) -> Found:
        """What there is to say of ``images``.

        Raises:
            MissingHere: when this worker has other versions than the machine that asks.
        """
        found = versions_here()
        for name, wanted in self._wanted.items():
            if found.get(name) != wanted:
                raise MissingHere(
                    f"the Dask worker {self._address} has {name} {found.get(name, 'not at all')}, "
                    f"and this machine {wanted}: their scores could differ",
                    "install the same on both",
                )
        return self._looker.look(images)


def look_there(name: str, images: Sequence[LabelledImage]) -> Found:
    """A chunk by the plan that the plugin called ``name`` keeps."""
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, PlanPlugin)
    return plugin.look(images)
