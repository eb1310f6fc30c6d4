"""The one console script: a lazy table of commands, and the one place where errors become codes."""

from __future__ import annotations

import difflib
import errno
import importlib
import importlib.util
import io
import os
import sys
import traceback
from dataclasses import dataclass

import click

from lesionlite_runtime import __version__
from lesionlite_runtime.errors import LesionliteError, MissingHere, UsageError, printable

BUG, USAGE, INTERRUPTED = 1, 2, 130
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Route:
    """Where a command lives, what it needs beyond the base install, and its line of help."""

    module: str
    help: str
    extra: str | None = None


ROUTES = {
    "classify": Route("lesionlite_runtime.commands.classify", "Decide about photos."),
    "predict": Route("lesionlite_runtime.commands.predict", "Run a regression on numbers."),
    "inspect": Route("lesionlite_runtime.commands.inspect", "Show what a model says of itself."),
    "contract": Route(
        "lesionlite_runtime.commands.contract",
        "Draft, attach or change what a model says of itself.",
    ),
    "export": Route(
        "lesionlite_export.commands.export", "Turn a .keras into a proved .tflite.", "quantize"
    ),
    "verify": Route(
        "lesionlite_export.commands.verify",
        "Prove that a .tflite decides like its .keras.",
        "quantize",
    ),
    "conform": Route(
        "lesionlite_export.commands.conform", "Judge what a port made of a conformance kit."
    ),
    "demo": Route("lesionlite_export.commands.demo", "The main job on drawn images.", "export"),
    "data": Route("lesionlite_training.commands.data", "Make and check manifests.", "training"),
    "train": Route("lesionlite_training.commands.train", "Train a model.", "training"),
    "evaluate": Route(
        "lesionlite_training.commands.evaluate", "Measure a model on labelled photos.", "training"
    ),
}
# A package that the extra brings and the base install lacks.
EXTRA_SENTINELS = {
    "quantize": ("litert_quantizer", "flatbuffers", "sklearn", "pandas", "rich"),
    "export": ("tensorflow", "litert_quantizer", "sklearn", "pandas", "rich"),
    "training": ("tensorflow", "litert_quantizer", "sklearn", "pandas", "rich"),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the table's order."""
        return list(ROUTES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command ``cmd_name``, or a stand-in that names the missing extra."""
        route = ROUTES.get(cmd_name)
        if route is None:
            return None
        if route.extra is not None and (missing := _missing(route.extra)):
            return _stand_in(cmd_name, route, missing)
        command = importlib.import_module(route.module).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; an unknown command is refused with the nearest names."""
        if args and args[0] not in ROUTES and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], ROUTES, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see `lesionlite --help`"
            raise UsageError(f"there is no command {args[0]!r}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """The table itself: no command is imported for the help page."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, route.help) for name, route in ROUTES.items()])


def _missing(extra: str) -> list[str]:
    return [name for name in EXTRA_SENTINELS[extra] if importlib.util.find_spec(name) is None]


def _stand_in(name: str, route: Route, missing: list[str]) -> click.Command:
    remedy = f"run pip install 'lesionlite[{route.extra}]'"

    @click.command(
        name,
        help=f"{route.help}\n\nNot installed here: {remedy}.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def command() -> None:
        raise MissingHere(f"`lesionlite {name}` needs {', '.join(missing)}", remedy)

    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lesionlite")
@click.option("--debug", is_flag=True, help="Show the trace of an error.")
def cli(debug: bool) -> None:
    """Screen skin photos on a device, and prove that the file there decides like the full model.

    Research software, no medical device. Example: lesionlite classify photo.jpg
    """


def main(args: list[str] | None = None) -> int:
    """Run the command line; the exit code says what happened (see docs/cli.md)."""
    arguments = sys.argv[1:] if args is None else args
    debug = "--debug" in arguments[:1] or os.environ.get("LESIONLITE_DEBUG") == "1"
    try:
        if not arguments:
            click.echo(cli.get_help(click.Context(cli, info_name="lesionlite")), err=True)
            return USAGE
        code = cli.main(arguments, prog_name="lesionlite", standalone_mode=False)
        if sys.stdout is not None:  # None where the caller closed it
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe went away. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BUG
    except (KeyboardInterrupt, Exception) as error:
        message, code = _in_words(error, debug)
        if debug:
            traceback.print_exc()
        click.echo(f"lesionlite: {printable(message)}", err=True)
        return code
    return code if isinstance(code, int) else 0


def _in_words(error: BaseException, debug: bool) -> tuple[str, int]:
    """One sentence for ``error``, and its exit code."""
    if isinstance(error, LesionliteError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "lesionlite"
        return f"{error.format_message().rstrip('.')}; see `{where} --help`", USAGE
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, OSError) and error.errno in _FULL:
        place = error.filename or "what goes to stdout"
        return (
            f"{place} cannot be written ({error.strerror}); free some space",
            MissingHere.exit_code,
        )
    words = f"{type(error).__name__}: {error}".splitlines()[0]
    hint = "" if debug else "; run `lesionlite --debug ...` for the trace, and report it"
    return f"a bug: {words}{hint}", BUG


def run() -> None:
    """The console script's entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is escaped; it does not end the run.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
