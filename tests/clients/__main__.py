"""Proof by real clients: MediaPipe Tasks in Python and in a browser, LiteRT.js, tflite-runtime.

And by a second implementation, in JavaScript, on a conformance kit.

python -m tests.clients [--write docs/clients.md] [--job FOLDER]

Makes its own environments in LESIONLITE_CLIENTS_CACHE, or in a folder that it removes again; works
on real photos where LESIONLITE_DATA names them, else on drawn ones. Prints the tables, and ends
with 1 where a claim does not hold or a client cannot be had.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.clients import environments
from tests.clients.environments import ROOT, NotHere
from tests.clients.findings import Findings
from tests.clients.tables import faults, tables, write_tables

CACHE_VARIABLE = "LESIONLITE_CLIENTS_CACHE"
# MediaPipe reports its use to its makers. A proxy that is not there keeps it from that.
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")


def main(arguments: Sequence[str]) -> int:
    """Make everything, run every client, print what they showed."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("--write", type=Path, help="page to put the tables into")
    parser.add_argument("--job", type=Path, help="folder of files to keep, or to use again")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lesionlite-clients.") as folder:
        cache = Path(os.environ.get(CACHE_VARIABLE) or Path(folder, "cache")).resolve()
        job = (chosen.job or Path(folder, "job")).resolve()
        findings = Findings()
        wrong: list[str] = []
        if not (job / "job.json").is_file():
            say("exporting")
            module(environments.export_python(cache), "files", job)
        for name, run in clients(cache, job, Path(folder)).items():
            say(name)
            try:
                findings.add(run())
            except (NotHere, subprocess.CalledProcessError) as error:
                wrong.append(f"{name}: {error}")
        images = json.loads((job / "job.json").read_text("utf-8"))["images"]
    text = tables(findings, images)
    sys.stdout.write(f"{text}\n")
    wrong += faults(findings)
    held = sum(check.holds for check in findings.checks)
    rows = len(findings.scores) + len(findings.pixels)
    sys.stdout.write(f"\n{held} of {len(findings.checks)} claims hold; {rows} comparisons.\n")
    for line in wrong:
        sys.stdout.write(f"WRONG: {line}\n")
    if chosen.write and not wrong:
        write_tables(chosen.write, text)
    return 1 if wrong else 0


def clients(cache: Path, job: Path, folder: Path) -> dict[str, Callable[[], Findings]]:
    """What to run, by name; each makes what it needs first."""

    def judged(python: Path, name: str, *more: Path) -> Findings:
        out = folder / f"{name}.json"
        module(python, name, job, *more, out)
        return Findings.read(out)

    return {
        "LiteRT and MediaPipe Python": lambda: judged(
            environments.mediapipe_python(cache), "mediapipe_client"
        ),
        "tflite-runtime": lambda: judged(environments.tflite_python(cache), "tflite_client"),
        "tasks-vision and LiteRT.js": lambda: judged(
            environments.mediapipe_python(cache),
            "browser_client",
            environments.node_modules(cache),
            environments.chromium(),
        ),
        "a second implementation on the conformance kit": lambda: judged(
            environments.mediapipe_python(cache),
            "kit_client",
            environments.node_modules(cache),
            environments.chromium(),
        ),
    }


def module(python: Path, name: str, *arguments: Path) -> None:
    """Run a module of this package in another Python, which sees the runtime of this tree."""
    path = os.pathsep.join(str(ROOT / room) for room in ("runtime", "export", "training"))
    command = [str(python), "-m", f"tests.clients.{name}", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **NOWHERE},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        sys.stderr.buffer.write(done.stderr[-4000:])
        done.check_returncode()


def say(what: str) -> None:
    """Progress."""
    sys.stderr.write(f"-- {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
