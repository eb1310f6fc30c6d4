"""What may lie where a kit is to be written: ``--force`` replaces a kit, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.export.conformance.small_kit import small_kit

from lesionlite_export.kit.folder import check_kit_path, write_kit
from lesionlite_export.kit.manifest import MANIFEST_NAME, KitFolder
from lesionlite_runtime.errors import UsageError


@pytest.fixture
def kit(tmp_path: Path) -> KitFolder:
    return small_kit(tmp_path / "kit")


def written_anew(kit: KitFolder, out: Path) -> None:
    files = {image.file: kit.image_bytes(image) for image in kit.kit.images}
    write_kit(out, kit.kit, files, force=True)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("manifest", ["{}", "[]", '{"schema": "another.kit/1"}', "{", ""])
def test_a_folder_with_some_other_kit_json_is_no_kit(manifest: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / MANIFEST_NAME).write_text(manifest)
    (folder / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(UsageError, match="something else than a kit lies there"):
            check_kit_path(folder, force)


@pytest.mark.parametrize("name", ["results.jsonl", "images/mine.jpg", "notes/day.txt"])
def test_a_file_of_the_user_s_in_a_kit_is_not_deleted(name: str, kit: KitFolder) -> None:
    mine = kit.path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    before = contents(kit.path)
    with pytest.raises(UsageError, match=rf"is not the kit's: .*{name}; move it elsewhere"):
        written_anew(kit, kit.path)
    assert contents(kit.path) == before


def test_an_empty_folder_and_a_link_in_a_kit_are_the_user_s(kit: KitFolder, tmp_path: Path) -> None:
    (kit.path / "empty").mkdir()
    (kit.path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="is not the kit's: empty, link; move it"):
        check_kit_path(kit.path, force=True)


def test_a_kit_of_another_version_is_replaced(kit: KitFolder) -> None:
    manifest = kit.path / MANIFEST_NAME
    body = json.loads(manifest.read_text()) | {"schema": "lesionlite.kit/9", "more": 1}
    before = contents(kit.path)
    manifest.write_text(json.dumps(body))
    with pytest.raises(UsageError, match="there is a kit already; pass --force"):
        check_kit_path(kit.path, force=False)
    written_anew(kit, kit.path)
    assert contents(kit.path) == before
    assert list(kit.path.parent.iterdir()) == [kit.path]


def test_a_linked_kit_is_replaced_where_it_lies(kit: KitFolder, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(kit.path)
    (kit.path / "README.md").write_text("old")
    written_anew(kit, link)
    assert link.is_symlink()
    assert (kit.path / "README.md").read_text() != "old"


def test_the_working_folder_is_refused_before_the_work(
    kit: KitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, out in ((empty, Path()), (kit.path / "images", kit.path), (empty, empty)):
        monkeypatch.chdir(folder)
        with pytest.raises(UsageError, match="cannot take the place of the working folder"):
            check_kit_path(out, force=True)
    monkeypatch.chdir(tmp_path)
    check_kit_path(Path("empty"), force=False)
