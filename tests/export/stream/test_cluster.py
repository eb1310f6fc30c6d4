"""A Dask cluster: the figures of a plain run, though a worker is lost on the way."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lesionlite_export.keras_model import KerasModel
from lesionlite_export.publish import Exported
from lesionlite_export.reference import load_reference
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.verification import verify_model
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.cli import main
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None, reason="distributed is not installed"
    ),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three worker processes."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=3,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        memory_limit=None,
    ) as started:
        yield started


def test_figures_are_the_same_though_a_worker_is_killed(
    cluster: Any, verify: Any, plain: Verification, same: Any, counting: Any, tmp_path: Path
) -> None:
    from distributed import Client

    with Client(cluster, set_as_default=False) as client:
        before = client.run(os.getpid)
        victim = list(before.values())[1]
        journal = tmp_path / "verify.sqlite"
        report = counting(1, lambda: os.kill(victim, signal.SIGKILL))
        stream = StreamOptions(journal=journal, dask=cluster.scheduler_address)
        same(verify(stream=stream, report=report), plain)
        assert victim not in client.run(os.getpid).values()
    same(verify(stream=StreamOptions(1, journal)), plain)


def test_a_file_and_recorded_scores_are_references_too(
    cluster: Any, tiny_exported: Exported, many: Path
) -> None:
    reference = load_reference(tiny_exported.path)
    stream = StreamOptions(dask=cluster.scheduler_address)
    found = verify_model(reference, tiny_exported.path, many, stream=stream)
    assert found.to_json() == verify_model(reference, tiny_exported.path, many).to_json()


def test_paths_need_not_be_absolute(
    cluster: Any,
    tiny_model: KerasModel,
    tiny_exported: Exported,
    many: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(many.parent)
    stream = StreamOptions(dask=cluster.scheduler_address)
    found = verify_model(tiny_model, tiny_exported.path, many.name, stream=stream)
    assert found.to_json() == verify_model(tiny_model, tiny_exported.path, many.name).to_json()
    assert str(found.unusable[0].error).startswith(f"{many.name}/valid/mel")


def test_images_that_a_worker_alone_cannot_read_end_the_run(
    cluster: Any,
    tiny_model: KerasModel,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(small_drawn, folder)
    monkeypatch.setattr(
        "lesionlite_export.stream.cluster.replace",
        lambda item, **to: item if set(to) != {"path"} else moved(item, to["path"]),
    )
    from dataclasses import replace

    def moved(item: Any, path: Path) -> Any:
        return replace(item, path=tmp_path / "elsewhere" / path.name)

    with pytest.raises(UnusableInput, match=r"cannot read it \(no such file .*the same path"):
        verify_model(
            tiny_model,
            tiny_exported.path,
            folder,
            stream=StreamOptions(dask=cluster.scheduler_address),
        )


def test_a_worker_of_another_version_is_refused(
    cluster: Any, verify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lesionlite_export.stream.cluster_worker as there

    own = there.versions_here()
    monkeypatch.setattr(there, "versions_here", lambda: {**own, "numpy": "1.0"})
    words = "the Dask worker .* has numpy .*, and this machine 1.0: .*; install the same on both"
    with pytest.raises(MissingHere, match=words):
        verify(stream=StreamOptions(dask=cluster.scheduler_address))


def test_a_worker_without_lesionlite_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from lesionlite_export.stream.cluster import _check_installed

    class Cluster:
        def run(self, function: Any, package: str, on_error: str) -> dict[str, Any]:
            assert (package, on_error) == ("lesionlite", "return")
            return {"tcp://a:1": function("numpy"), "tcp://b:2": ModuleNotFoundError(package)}

    with pytest.raises(MissingHere, match="worker tcp://b:2 has no lesionlite; run pip install"):
        _check_installed(Cluster())


def test_no_cluster_is_a_sentence(verify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr("lesionlite_export.stream.cluster.SECONDS", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(MissingHere, match=f"no Dask scheduler answers at {address}; start"):
            verify(stream=StreamOptions(dask=address))
    for address in ("", "somewhere", "nothing://a:1"):
        with pytest.raises(UsageError, match=f"'{address}' is no address of a Dask scheduler"):
            verify(stream=StreamOptions(dask=address))
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(MissingHere, match="has no worker; start one with `dask worker"),
    ):
        verify(stream=StreamOptions(dask=empty.scheduler_address))


def test_without_the_package_the_extra_is_named(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", hidden(importlib.util.find_spec))
    arguments = [str(tiny_path), str(tiny_exported.path), "--data", str(small_drawn), "--quiet"]
    assert main(["verify", *arguments, "--dask", "tcp://127.0.0.1:1"]) == 6
    assert "--dask needs the package distributed; run pip install 'lesionlite[dask]'" in (
        capsys.readouterr().err
    )
    assert main(["verify", *arguments, "--dask", "tcp://a:1", "--workers", "2"]) == 2
    assert "--workers and --dask are two places to run" in capsys.readouterr().err


def hidden(find_spec: Any) -> Any:
    """As `find_spec`, but that `distributed` is not there."""
    return lambda name, *rest: None if name == "distributed" else find_spec(name, *rest)
