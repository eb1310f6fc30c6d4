"""Handles of SavedModels: a folder, or a URL of TensorFlow Hub that is looked up in its cache."""

from __future__ import annotations

import hashlib
import importlib
import os
import tempfile
from pathlib import Path

from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError

CACHE_VARIABLE = "TFHUB_CACHE_DIR"
_URL = "https://"


def is_handle(text: str) -> bool:
    """Whether ``text`` names a file, a folder or a URL rather than a backbone of the registry."""
    if text.endswith(".keras") or "/" in text or os.sep in text:
        return True
    return bool(text) and Path(text).is_dir()


def is_url(handle: str) -> bool:
    """Whether ``handle`` is a URL rather than a path.

    Raises:
        UsageError: for a URL that is not https.
    """
    if "://" in handle and not handle.startswith(_URL):
        raise UsageError(f"{handle} is no https URL", "pass an https URL, or the path of a folder")
    return handle.startswith(_URL)


def cache_place(url: str) -> Path:
    """Where TensorFlow Hub keeps the SavedModel of ``url``, whether it is there or not.

    The folder is named by the SHA-1 of the URL, in ``$TFHUB_CACHE_DIR``, or in ``tfhub_modules`` of
    the folder for temporary files. (https://www.tensorflow.org/hub/caching)
    """
    named = os.environ.get(CACHE_VARIABLE)
    base = Path(named) if named else Path(tempfile.gettempdir(), "tfhub_modules")
    return base / hashlib.sha1(url.encode("utf-8"), usedforsecurity=False).hexdigest()


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
