"""The README of a kit, from a template beside this module."""

from __future__ import annotations

from importlib import resources

from lesionlite_export.kit.manifest import XNNPACK, Kit

TEMPLATE = "README.template.md"
_OWN = """

The images named `own-...` are those of whoever recorded the kit, as they are, with all that stands
in the files. Pass them on only where you may."""


def readme(kit: Kit) -> str:
    """``README.md`` of ``kit``."""
    text = resources.files("lesionlite_export.kit").joinpath(TEMPLATE).read_text("utf-8")
    shown = kit.images[0]
    own = any(image.name.startswith("own-") for image in kit.images)
    words = {
        "MODEL": kit.model.id,
        "FILE": kit.model.file,
        "COUNT": str(len(kit.images)),
        "HEIGHT": str(kit.input.height),
        "WIDTH": str(kit.input.width),
        "RESIZE": kit.input.resize,
        "THRESHOLD": repr(kit.threshold),
        "DIGEST": kit.digest,
        "EXAMPLE": shown.name,
        "SCORE": repr(shown.scores[XNNPACK]),
        "DECISION": shown.decision,
        "PIXELS": shown.pixels_sha256,
        "OWN": _OWN if own else "",
    }
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
