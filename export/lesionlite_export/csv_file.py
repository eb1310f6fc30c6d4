"""Tables of a result as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def csv_bytes(columns: Mapping[str, Any]) -> bytes:
    """The CSV of ``columns``, a sequence a name, all of one length."""
    import pandas as pd

    text = pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")
    return text.encode(errors="backslashreplace")  # for names that are no UTF-8
