"""The history of a training as a picture: loss and learning rate by epoch."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lesionlite_training.trainer import LOG

if TYPE_CHECKING:
    import pandas as pd


def read_histories(folder: Path) -> dict[str, pd.DataFrame]:
    """The log of each member of the run in ``folder``, by the name of its folder."""
    import pandas as pd

    return {path.parent.name: pd.read_csv(path) for path in sorted(folder.glob(f"*/{LOG}"))}


def history_png(histories: Mapping[str, pd.DataFrame]) -> bytes:
    """A PNG of the losses above and the learning rate below, one line a member."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    losses, rates = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    for name, table in histories.items():
        # A lone epoch makes no line.
        marks = ("o", "x") if len(table) == 1 else (None, None)
        line = losses.plot(table["epoch"], table["loss"], label=name, marker=marks[0])[0]
        if "validation_loss" in table:
            losses.plot(
                table["epoch"],
                table["validation_loss"],
                linestyle="--",
                color=line.get_color(),
                label=f"{name}, held-back images",
                marker=marks[1],
            )
        rates.plot(table["epoch"], table["learning_rate"], color=line.get_color(), marker=marks[0])
    rates.set_xlim(0.5, max(table["epoch"].max() for table in histories.values()) + 0.5)
    losses.set_ylabel("loss")
    losses.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    rates.set_ylabel("learning rate")
    rates.set_xlabel("epoch")
    for axes in (losses, rates):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    rates.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
