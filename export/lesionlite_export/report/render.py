"""A page as HTML, from the template beside this module.

Whatever comes from files, manifests and models is escaped: by `printable`, so that no control
character and no mark that turns the direction of writing is left, and then for HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lesionlite_export.report.parts import Page
from lesionlite_runtime.errors import MissingHere, printable
from lesionlite_runtime.result import RESEARCH_NOTE

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "page.html"


def check_jinja() -> None:
    """Refuse, before any work, a page that could not be made.

    Raises:
        MissingHere: when Jinja2 is missing.
    """
    try:
        import jinja2  # noqa: F401 (told now, not after the work)
    except ImportError as error:
        raise MissingHere(
            "a report needs jinja2", "run pip install 'lesionlite[report]'"
        ) from error


def page_html(page: Page) -> bytes:
    """``page`` in UTF-8, without anything that would be fetched."""
    text = _environment().get_template(TEMPLATE).render(page=page, note=RESEARCH_NOTE)
    return text.encode()


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("lesionlite_export.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _finalize(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
