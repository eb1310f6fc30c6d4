"""What the rows of a stream depend on, by name: the header of its journal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from lesionlite_export.keras_model import KerasModel, network_sha256
from lesionlite_export.manifest import Manifest
from lesionlite_export.stream.journal import SCHEMA
from lesionlite_export.stream.look import Plan
from lesionlite_export.stream.run import CHUNK
from lesionlite_export.tools import tool_versions
from lesionlite_runtime import __version__
from lesionlite_runtime.codec import canonical_json, to_json
from lesionlite_runtime.interpreter import installed_backends


def journal_header(
    command: str, manifest: Manifest, plan: Plan, models: Mapping[str, str]
) -> Mapping[str, str]:
    """The header for images that ``command`` streams through ``plan``.

    ``models`` has the digest of each model.
    """
    return {
        "schema": SCHEMA,
        "command": command,
        "data": manifest_digest(manifest),
        **models,
        "pixels": canonical_json(to_json(plan.image_input)).decode(),
        "backend": plan.backend or installed_backends()[0],
        "threads": str(plan.threads),
        "chunk": str(CHUNK),
        "versions": json.dumps({"lesionlite": __version__, **tool_versions()}, sort_keys=True),
    }


def manifest_digest(manifest: Manifest) -> str:
    """SHA-256 over the images in order: path, label, class, facts, and the file's size and date."""
    digest = hashlib.sha256()
    for image in manifest.images:
        try:
            status = image.path.stat()
            file = [status.st_size, status.st_mtime_ns]
        except (OSError, ValueError):
            file = []
        line = [str(image.path), image.label, image.class_name, sorted(image.facts.items()), file]
        digest.update(json.dumps(line).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def keras_digest(model: KerasModel) -> str:
    """The digests of a network and of the contract that it is run by."""
    return f"{network_sha256(model.network)} {model.contract.digest}"
