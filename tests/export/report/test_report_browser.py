"""The page in a real browser: nothing is fetched, nothing complains, everything is to be seen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lesionlite_export.publish import Exported
from lesionlite_runtime.cli import main

from ...clients.devtools import Tab, open_tab  # noqa: TID252 (no package to name)
from ...clients.environments import BROWSERS  # noqa: TID252

CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not here"),
    pytest.mark.tensorflow,
]
OPEN = "auc_difference=none,flip_rate=none,newly_missed_rate=none,mean_score_error=none"
NARROW = 360


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    """A tab of a browser."""
    with open_tab(Path(str(CHROMIUM))) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The page of a run that fails, with layers, and with a photo whose name is a tag."""
    folder = tmp_path_factory.mktemp("page")
    data = folder / "drawn"
    shutil.copytree(small_drawn, data)
    first = min((data / "valid" / "melanoma").iterdir())
    first.rename(first.with_name("<img src=x onerror=alert(1)>" + "x" * 150 + ".jpg"))
    (data / "valid" / "nevus" / "<b>bad.jpg").write_bytes(b"no image")
    path = folder / "report.html"
    options = ["--data", data, "--limits", f"{OPEN},max_score_error=0", "--report", path]
    arguments = ["verify", tiny_path, tiny_exported.path, *options, "--layers", "--quiet"]
    assert main([*map(str, arguments), "--layers-images", "2"]) == 3
    return path


@pytest.mark.parametrize("width", [NARROW, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_whole_in_a_browser(tab: Tab, page: Path, width: int, scheme: str) -> None:
    tab.requests.clear()
    tab.complaints.clear()
    tab.open(page, width, scheme=scheme)
    assert tab.complaints == []
    others = [one for one in tab.requests if not one.startswith("data:")]
    assert others == [page.resolve().as_uri()]
    images = tab.ask("[...document.images].map(image => [image.naturalWidth, image.alt])")
    assert len(images) >= 3
    assert all(natural > 0 and alt for natural, alt in images)
    assert tab.ask("document.documentElement.scrollWidth") <= width
    verdict = tab.ask(
        "(box => [box.innerText, box.getClientRects().length, box.offsetTop])"
        "(document.querySelector('.verdict'))"
    )
    assert verdict[0].startswith("Failed: the file does not decide like its reference")
    assert verdict[1] == 1
    assert verdict[2] < 400
    assert "<b>bad.jpg" in tab.ask("document.getElementById('unusable').innerText")
    light = tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")


def test_the_policy_of_the_page_forbids_scripts_and_addresses(tab: Tab, page: Path) -> None:
    tab.open(page, 1200)
    assert (
        tab.ask(
            "document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x\">')"
        )
        is None
    )
    tab.ask(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); })()"
    )
    assert tab.ask("window.ran === undefined")
    assert any("Content Security Policy" in text for text in tab.complaints)
    tab.complaints.clear()
