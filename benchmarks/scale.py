r"""Memory and speed of `verify` on many images: the tables of docs/verification.md.

    python benchmarks/scale.py --keras lesion.keras --float32 lesion.float32.tflite \
        --tflite lesion.int8.tflite --data isic2017 --originals fullres --results scale.jsonl \
        --write docs/verification.md

Each row is a command of its own. Its images are those of the folder, as often as it takes, under
new names. Memory is the resident set, ten times a second: of the command's process, and of it and
its workers together (what they share counts in each). An image's cost is the difference between
the longest and the shortest run of its kind, so that starting counts nothing: in seconds of the
clock, and in seconds that processors worked, which other work on the machine changes little.

With --results what was measured is kept, and not measured again.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from pages import markdown_table, put, write_option

ARCHIVE = 500_000
CORES = (2, 8, 32)
JOURNAL = "its journal"


@dataclass(frozen=True)
class Kind:
    """What is measured at several sizes."""

    reference: str
    images: str
    workers: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """One command: megabytes of memory, seconds of the clock and of processors."""

    reference: str
    images: str
    workers: int
    n: int
    parent_mb: float
    all_mb: float
    seconds: float
    core_seconds: float


def linked(pool: Sequence[Path], n: int, folder: Path) -> Path:
    """A folder in the ISIC layout with ``n`` links to the images of ``pool``."""
    for number, path in enumerate(itertools.islice(itertools.cycle(pool), n)):
        target = folder / "valid" / path.parent.name
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{path.stem}_{number // len(pool):03}{path.suffix}").symlink_to(path)
    return folder


def measured(kind: Kind, n: int, command: Sequence[str]) -> Run:
    """Run ``command`` to its end."""
    import psutil

    words = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
    before, started = _worked(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=words)
    parent = total = 0
    own = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            alone = own.memory_info().rss
            children = sum(child.memory_info().rss for child in own.children(recursive=True))
        except psutil.Error:  # one of them is just ending
            continue
        parent, total = max(parent, alone), max(total, alone + children)
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    if process.returncode not in (0, 3):  # copies of photos that it was trained on need not pass
        words.seek(0)
        raise click.ClickException(words.read().decode(errors="replace"))
    megabyte = 1e6
    return Run(
        kind.reference,
        kind.images,
        kind.workers,
        n,
        round(parent / megabyte),
        round(total / megabyte),
        round(seconds, 1),
        round(_worked() - before, 1),
    )


def _worked() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def runs(
    kinds: Sequence[Kind],
    references: dict[str, Path],
    tflite: Path,
    pools: Mapping[str, Sequence[Path]],
    results: Path | None,
    more: bool,
) -> Iterator[Run]:
    """Every row of `kinds`, and after each the same command once more, from its journal."""
    known: dict[Any, Run] = {}
    if results is not None and results.is_file():
        for line in results.read_text("utf-8").splitlines():
            run = Run(**json.loads(line))
            known[run.reference, run.images, run.workers, run.n] = run
    for kind in kinds:
        for n in kind.sizes:
            again = Kind(f"{JOURNAL} ({kind.reference})", kind.images, kind.workers, (n,))
            both = [(one.reference, one.images, one.workers, n) for one in (kind, again)]
            if more and not all(key in known for key in both):
                with tempfile.TemporaryDirectory() as folder:
                    data = linked(pools[kind.images], n, Path(folder, "images"))
                    command = [
                        *(sys.executable, "-m", "lesionlite_runtime", "verify"),
                        *(str(references[kind.reference]), str(tflite), "--data", str(data)),
                        *("--workers", str(kind.workers), "--allow-training-images", "--json"),
                        *("--journal", str(Path(folder, "journal.sqlite"))),
                    ]
                    for key, one in zip(both, (kind, again), strict=True):
                        known[key] = measured(one, n, command)
                        print(known[key], file=sys.stderr, flush=True)
                        if results is not None:
                            with results.open("a", encoding="utf-8") as stream:
                                stream.write(f"{json.dumps(asdict(known[key]))}\n")
            yield from (known[key] for key in both if key in known)


def memory_table(found: Sequence[Run]) -> str:
    """A row a run."""
    head = ("reference", "images", "workers", "n", "main process, MB", "all, MB", "s", "core-s")
    return markdown_table(
        head,
        [
            (r.reference, r.images, r.workers, r.n, f"{r.parent_mb:,.0f}", f"{r.all_mb:,.0f}",
             f"{r.seconds:,.0f}", f"{r.core_seconds:,.0f}")
            for r in found
        ],
    )  # fmt: skip


def cost_table(found: Sequence[Run]) -> str:
    """What an image costs by each kind, and an archive of them."""
    head = (
        *("reference", "images", "workers", "core-s an image"),
        *(f"{ARCHIVE:,} on {cores} free cores, h" for cores in CORES),
        "images/s measured",
    )
    rows = []
    keys = dict.fromkeys((r.reference, r.images, r.workers) for r in found)
    for key in keys:
        own = sorted(
            (r for r in found if (r.reference, r.images, r.workers) == key), key=lambda r: r.n
        )
        if len(own) < 2 or key[0].startswith(JOURNAL):
            continue
        n = own[-1].n - own[0].n
        rate = n / (own[-1].seconds - own[0].seconds)
        cost = (own[-1].core_seconds - own[0].core_seconds) / n
        hours = (f"{ARCHIVE * cost / cores / 3600:.1f}" for cores in CORES)
        rows.append((*key, f"{cost:.3f}", *hours, f"{rate:.1f}"))
    return markdown_table(head, rows)


def photos(*folders: Path) -> list[Path]:
    """The JPEG files below ``folders``."""
    return [path.absolute() for folder in folders for path in sorted(folder.rglob("*.jpg"))]


path_option = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--keras", type=path_option, required=True, help="The reference.")
@click.option("--float32", type=path_option, required=True, help="Its float32 .tflite.")
@click.option("--tflite", type=path_option, required=True, help="The file that is verified.")
@click.option("--data", type=path_option, required=True, help="Folder of ISIC 2017.")
@click.option("--originals", type=path_option, help="Folder of larger photos.")
@click.option("--sizes", default="150,2000,10000", show_default=True, help="Numbers of images.")
@click.option("--few", default="150,600", show_default=True, help="The same with one worker.")
@click.option("--results", type=click.Path(path_type=Path), help="Keep what is measured there.")
@click.option("--known", is_flag=True, help="Measure nothing: show what --results has.")
@write_option
def main(
    keras: Path,
    float32: Path,
    tflite: Path,
    data: Path,
    originals: Path | None,
    sizes: str,
    few: str,
    results: Path | None,
    known: bool,
    write: Path | None,
) -> None:
    """Print the tables."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    many, some = (tuple(int(n) for n in text.split(",")) for text in (sizes, few))
    references = {"float32 `.tflite`": float32, "`.keras`": keras}
    pools = {"256 px": photos(data / "train", data / "valid")}
    kinds = [Kind(name, "256 px", w, ns) for name in references for w, ns in ((2, many), (1, some))]
    if originals is not None:
        pools["originals"] = photos(originals)
        kinds.append(Kind("float32 `.tflite`", "originals", 2, (48, 144)))
    found = list(runs(kinds, references, tflite, pools, results, not known))
    for part, table in (("memory", memory_table(found)), ("cost", cost_table(found))):
        print(table, end="\n\n")
        if write is not None:
            put(write, __file__, table, part)


if __name__ == "__main__":
    main()
