"""Handles of SavedModels: a folder, or a URL of TensorFlow Hub that is looked up in its cache."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from lesionlite_export.hub_cache import CACHE_VARIABLE, cache_place, is_url
from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.errors import MissingHere, UnusableInput


def is_handle(text: str) -> bool:
    """Whether ``text`` names a file, a folder or a URL rather than a backbone of the registry."""
    if text.endswith(".keras") or "/" in text or os.sep in text:
        return True
    return bool(text) and Path(text).is_dir()


def resolve_handle(handle: str) -> Path:
    """The folder of the SavedModel that ``handle`` names; a URL may be downloaded.

    Raises:
        MissingHere: when a URL is not in the cache, and tensorflow-hub is not installed or cannot
            download it.
        UnusableInput: when a path is no folder.
        UsageError: for a URL that is not https.
    """
    if is_url(handle):
        place = cache_place(handle)
        return place if place.is_dir() else _downloaded(handle, place)
    path = Path(handle)
    if not path.exists():
        raise UnusableInput("no such file or folder", "check the path", path)
    if not path.is_dir():
        raise UnusableInput(
            "this is neither a .keras file nor the folder of a SavedModel",
            "unpack an archive first, and name its folder",
            path,
        )
    return path


def _downloaded(url: str, place: Path) -> Path:
    local = (
        f"unpack the model into {place} and set {CACHE_VARIABLE}={place.parent}, name the folder "
        "of a SavedModel, or use --backbone efficientnet_lite0, whose weights are installed"
    )
    with native_noise_logged():
        try:
            tensorflow_hub = importlib.import_module("tensorflow_hub")
        except ImportError as error:
            raise MissingHere(
                f"{url} is not in the cache, and tensorflow-hub cannot be imported ({error})",
                f"run: pip install 'lesionlite[hub]'; or {local}",
            ) from error
        try:
            return Path(tensorflow_hub.resolve(url))
        except Exception as error:  # many kinds, of URLs, archives, files and TensorFlow
            reason = next(iter(str(error).splitlines()), type(error).__name__).strip()
            raise MissingHere(f"{url} cannot be downloaded ({reason})", local) from error
