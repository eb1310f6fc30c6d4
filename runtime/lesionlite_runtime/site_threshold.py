"""A threshold of a site's own in a ``.tflite``: the contract changes, the network's bytes stay."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lesionlite_runtime.codec import to_json
from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, ClassifierContract
from lesionlite_runtime.contract_checks import MAX_REASON
from lesionlite_runtime.contract_fields import OperatingPoint, SiteThreshold
from lesionlite_runtime.door import check_model
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.files import check_output_path, read_file, write_whole
from lesionlite_runtime.integer_threshold import with_level

SITE_THRESHOLD_SCHEMA = "lesionlite.site_threshold/1"


@dataclass(frozen=True)
class SiteChange:
    """What was written to ``file``: its threshold now, the site's or the contract's own.

    Attributes:
        file: the file that was written.
        model: its id, which is the id that it had.
        contract: its contract.
        below: the row of the contract's table of thresholds at the site's or next below it; None
            where there is none.
        above: likewise, at it or next above it.
    """

    file: str
    model: str
    contract: ClassifierContract
    below: OperatingPoint | None
    above: OperatingPoint | None

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.site_threshold/1``."""
        site = self.contract.site_threshold
        return {
            "schema": SITE_THRESHOLD_SCHEMA,
            "file": self.file,
            "model": self.model,
            "digest": self.contract.digest,
            "threshold": self.contract.decision_threshold,
            "own_threshold": self.contract.threshold.value,
            "site_threshold": None if site is None else to_json(site),
            "below": None if self.below is None else to_json(self.below),
            "above": None if self.above is None else to_json(self.above),
        }


def set_site_threshold(
    model: str | os.PathLike[str],
    value: float,
    reason: str,
    out: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
) -> SiteChange:
    """Write the ``.tflite`` at ``model`` again, with a threshold that decides in place of its own.

    Args:
        model: a classifier of two labels.
        value: score from which on the decision is ``refer``, 0 to 1.
        reason: why, 1 to 500 characters.
        out: the file to write; by default ``model`` itself, whole or not at all.
        force: overwrite what lies at ``out``.

    Raises:
        UsageError: for a value outside 0 to 1 or NaN, no reason or too long a one, and an ``out``
            that cannot be written.
        UnusableInput: when the model is refused at the door, is no classifier of two labels, or no
            level of its integer output reaches the threshold.
    """
    if not 0 <= value <= 1:
        raise UsageError(f"the threshold {value} is out of range", "pass a number from 0 to 1")
    if not reason.strip():
        raise UsageError("there is no reason", "say why the site sets its own threshold")
    if len(reason) > MAX_REASON:
        raise UsageError(f"the reason has {len(reason)} characters", f"pass {MAX_REASON} at most")
    try:
        reason.encode("utf-8")
    except UnicodeEncodeError as error:  # a byte of a command line that was no UTF-8
        raise UsageError("the reason is no valid text", "write it in UTF-8") from error
    return _write(model, SiteThreshold(float(value), reason), out, force)


def clear_site_threshold(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
) -> SiteChange:
    """Write the ``.tflite`` at ``model`` again, without a site's threshold: the bytes from before.

    Raises:
        UsageError: when it has none, and for an ``out`` that cannot be written.
        UnusableInput: when the model is refused at the door, or is no classifier of two labels.
    """
    return _write(model, None, out, force)


def around(
    table: Sequence[OperatingPoint], value: float
) -> tuple[OperatingPoint | None, OperatingPoint | None]:
    """The rows of ``table``, the lowest threshold first, at or next below and above ``value``."""
    below = next((row for row in reversed(table) if row.threshold <= value), None)
    above = next((row for row in table if row.threshold >= value), None)
    return below, above


def _write(
    model: str | os.PathLike[str],
    site: SiteThreshold | None,
    out: str | os.PathLike[str] | None,
    force: bool,
) -> SiteChange:
    file = os.fspath(model)
    # In place means in the file that a link leads to: the link stays one.
    target = Path(os.path.realpath(model) if out is None else out)
    overwrite = force or out is None
    if out is not None:
        check_output_path(target, force)
    data = read_file(model)
    contract = check_model(data, file).contract
    if not isinstance(contract, ClassifierContract):
        raise UnusableInput(
            f"this is a model for {contract.task}", "name an image classifier of two labels", file
        )
    if site is None and contract.site_threshold is None:
        raise UsageError("no threshold was set at a site", "leave the file as it is", file)
    quantization = contract.output.quantization
    if site is not None and quantization is not None:
        site = with_level(site, contract.output.dtype, quantization, file)
    changed = replace(contract, site_threshold=site)
    flatbuffer, members = split_members(data, file)
    written = append_members(flatbuffer, {**members, CONTRACT_MEMBER: changed.to_bytes()})
    check_model(written, file)
    write_whole(target, written, overwrite)
    rows = contract.threshold.table or ()
    below, above = (None, None) if site is None else around(rows, site.value)
    return SiteChange(os.fspath(out or model), changed.model_id, changed, below, above)
