"""TensorFlow Hub's cache: where the module of a URL lies, without tensorflow-hub."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from lesionlite_runtime.errors import UsageError

CACHE_VARIABLE = "TFHUB_CACHE_DIR"
_URL = "https://"


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
