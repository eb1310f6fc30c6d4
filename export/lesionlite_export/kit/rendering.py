"""What to say of a kit that was recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lesionlite_export.kit.record import Recorded
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.errors import printable

RECORDED_SCHEMA = "lesionlite.recorded/1"
_BYTES = 1e6


def recorded_lines(recorded: Recorded, out: Path, as_json: bool) -> Iterator[str]:
    """The kit's model, images and size, a line each; as JSON one line."""
    kit = recorded.kit
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if as_json:
        yield json_line(
            {
                "schema": RECORDED_SCHEMA,
                "kit": os.fspath(out),
                "digest": kit.digest,
                "model": kit.model.id,
                "images": len(kit.images),
                "own_images": recorded.own,
                "left_out": list(recorded.left_out),
                "bytes": size,
            }
        )
        return
    shown = printable(os.fspath(out))
    yield f"kit        {shown}: {len(kit.images)} images, {size / _BYTES:.1f} MB"
    yield f"model      {printable(kit.model.file)} ({kit.model.id}), kit {kit.digest[:12]}"
    sides = [image.decision for image in kit.images]
    near = [i for i in kit.images if i.name.startswith("threshold-")]
    counts = ", ".join(f"{sides.count(d)} {d}" for d in dict.fromkeys(sides))
    yield f"decisions  {counts}; {len(near)} drawn close to the threshold"
    if not near:
        yield "note       every drawing lies on one side of the threshold: none is close to it"
    if recorded.own:
        yield (
            f"note       {recorded.own} of your own images are in it as they are, with all that "
            "their files hold: pass it on only where you may"
        )
    for path in recorded.left_out:
        yield f"note       {printable(path)} is left out: the kit would grow too large"
    yield f"next       {shown}/README.md, then lesionlite conform results.jsonl --kit {shown}"
