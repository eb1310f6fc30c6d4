"""``lesionlite demo``: the main job, with no data at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from lesionlite_export.commands.options import force_option, path_type, seed_option
from lesionlite_export.demo import Demo, run_demo
from lesionlite_export.progress import reporter
from lesionlite_export.rendering import parity_lines
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option
from lesionlite_runtime.errors import SomeInputsFailed
from lesionlite_runtime.result import RESEARCH_NOTE, Result

DEMO_SCHEMA = "lesionlite.demo/1"
SHOWN = 6


@click.command("demo")
@click.option("--data", type=path_type, help="Folder in the ISIC layout, in place of drawings.")
@click.option("--model", "-m", type=path_type, help="A .keras; by default samples/lesion.keras.")
@click.option(
    "-o",
    "--out",
    type=path_type,
    default=Path("lesionlite-demo"),
    show_default=True,
    help="Folder for what is made.",
)
@seed_option
@force_option
@json_option
@quiet_option
def command(
    data: Path | None,
    model: Path | None,
    out: Path,
    seed: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Export the sample model to int8, prove it, and classify: on drawings, or on real images.

    Without --data the demo draws synthetic images that look like dermoscopy. They show that the
    line runs and that the file decides like the Keras model, and nothing about skin.

    Example: lesionlite demo
    """
    demo = run_demo(out, model=model, data=data, force=force, seed=seed, report=reporter(quiet))
    if as_json:
        click.echo(json_line(_json(demo)))
    else:
        _show(demo)
    for item in demo.exported.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if demo.exported.unusable:
        raise SomeInputsFailed(
            f"{len(demo.exported.unusable)} images could not be used, and the demo went without "
            "them",
            "see the reasons above",
        )


def _json(demo: Demo) -> dict[str, object]:
    parity, verdict = demo.exported.parity, demo.exported.verdict
    assert parity is not None
    assert verdict is not None
    return {
        "schema": DEMO_SCHEMA,
        "drawn_images": demo.drawn,
        "images": str(demo.images),
        "file": str(demo.exported.path),
        "bytes": demo.exported.bytes,
        "proof": {**parity.to_json(), **verdict.to_json()},
        "results": [result.to_json() for result in demo.results],
    }


def _show(demo: Demo) -> None:
    exported = demo.exported
    assert exported.parity is not None
    assert exported.verdict is not None
    kind = "synthetic drawings, no photographs" if demo.drawn else "images of yours"
    click.echo(f"Images: {demo.images} ({kind})")
    if demo.drawn:
        click.echo("AUC not gated: the network was never trained to tell drawings apart.")
    click.echo()
    click.echo("Is the int8 file still the Keras model?")
    for line in parity_lines(exported.parity, exported.verdict):
        click.echo(f"  {line}")
    done = [result for result in demo.results if isinstance(result, Result)]
    counts = Counter(result.decision for result in done)
    decisions = ", ".join(f"{n} x {decision}" for decision, n in sorted(counts.items()))
    click.echo(f"\nWhat the file says of {len(done)} proof images: {decisions}. Some of them:")
    for result in done[:: max(1, len(done) // SHOWN)][:SHOWN]:
        click.echo(f"  {result.to_text()}")
    click.echo(f"\n{RESEARCH_NOTE}")
    click.echo(
        f"Made: {exported.path} ({exported.bytes:,} bytes), {exported.representative_list}\n"
        f"Next: lesionlite inspect {exported.path}\n"
        f"      lesionlite classify PHOTO --model {exported.path}"
    )
