"""Downloads from a server that breaks off, lies about sizes, and knows no ranges."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_training import fetch
from lesionlite_training.fetch import RemoteFile, check_space, download, part_path

from .unreliable_server import CtrlC, Unreliable, serving

BODY = bytes(range(256)) * 400
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server() -> Iterator[Unreliable]:
    with serving() as plan:
        plan.files["set.zip"] = BODY
        yield plan


class Waits(list[float]):
    """The waits that were asked for; none of them is waited."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


def remote(server: Unreliable, **changes: Any) -> RemoteFile:
    return RemoteFile(
        **{"url": server.url("set.zip"), "size": len(BODY), "sha256": DIGEST, **changes}
    )


def test_a_download_at_one_go(server: Unreliable, tmp_path: Path, waits: Waits) -> None:
    path = tmp_path / "set.zip"
    download(remote(server), path, wait=waits)
    assert path.read_bytes() == BODY
    assert server.asked == [None]
    assert waits == []
    assert list(tmp_path.iterdir()) == [path]


def test_a_dropped_connection_is_taken_up_where_it_broke(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    server.drop_after = [30_000, 1, 0, 50_000]
    path = tmp_path / "set.zip"
    download(remote(server), path, wait=waits)
    assert path.read_bytes() == BODY
    assert server.asked == [None, "bytes=30000-", "bytes=30001-", "bytes=30001-", "bytes=80001-"]
    assert waits == [2, 2, 4, 2]


def test_a_break_that_goes_on_is_given_up_and_the_next_call_resumes(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    server.drop_after = [30_000] + [0] * fetch.ATTEMPTS
    path = tmp_path / "set.zip"
    with pytest.raises(MissingHere) as caught:
        download(remote(server), path, wait=waits)
    assert str(caught.value) == (
        f"{server.url('set.zip')}: it cannot be downloaded (the connection ended after 30,000 of "
        "102,400 bytes); run this again to go on from there"
    )
    assert max(waits) <= 30
    assert not path.exists()
    assert part_path(path).read_bytes() == BODY[:30_000]
    server.drop_after, server.asked = [], []
    download(remote(server), path, wait=waits)
    assert server.asked == ["bytes=30000-"]
    assert path.read_bytes() == BODY
    assert list(tmp_path.iterdir()) == [path]


def test_a_server_without_ranges_begins_anew(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    server.ranges, server.drop_after = False, [30_000, 20_000]
    path = tmp_path / "set.zip"
    download(remote(server), path, wait=waits)
    assert server.asked == [None, "bytes=30000-", "bytes=20000-"]
    assert path.read_bytes() == BODY


def test_a_server_without_ranges_that_always_breaks_is_given_up(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    server.ranges, server.drop_after = False, [30_000] * 100
    with pytest.raises(MissingHere):
        download(remote(server), tmp_path / "set.zip", wait=waits)
    assert len(server.asked) == fetch.ATTEMPTS


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"!"], ids=["short", "long"])
def test_a_file_of_another_size_is_refused_at_once(
    server: Unreliable, tmp_path: Path, waits: Waits, body: bytes
) -> None:
    server.files["set.zip"] = body
    path = tmp_path / "set.zip"
    with pytest.raises(UnusableInput) as caught:
        download(remote(server), path, wait=waits)
    assert str(caught.value) == (
        f"{server.url('set.zip')}: the server's file has {len(body):,} bytes, not 102,400; "
        "get the file from another place"
    )
    assert not path.exists()
    assert waits == []


def test_another_size_is_seen_when_resuming_too(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    path = tmp_path / "set.zip"
    part_path(path).write_bytes(BODY[:10])
    server.files["set.zip"] = BODY[:500]
    with pytest.raises(UnusableInput, match="the server's file has 500 bytes"):
        download(remote(server), path, wait=waits)


@pytest.mark.parametrize("size", [len(BODY) - 1, len(BODY) + 1])
def test_a_server_that_tells_no_length_is_measured(
    server: Unreliable, tmp_path: Path, waits: Waits, size: int
) -> None:
    server.chunked = True
    path = tmp_path / "set.zip"
    with pytest.raises((UnusableInput, MissingHere)):
        download(remote(server, size=size, sha256=None), path, wait=waits)
    assert not path.exists()
    part_path(path).unlink(missing_ok=True)
    download(remote(server), path, wait=waits)
    assert path.read_bytes() == BODY


def test_a_wrong_digest_leaves_nothing(server: Unreliable, tmp_path: Path, waits: Waits) -> None:
    with pytest.raises(UnusableInput) as caught:
        download(remote(server, sha256="ab" * 32), tmp_path / "set.zip", wait=waits)
    assert f"its SHA-256 is {DIGEST[:12]}..., not abababababab..." in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_a_known_digest_the_size_decides(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    download(remote(server, sha256=None), tmp_path / "set.zip", wait=waits)
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_a_part_that_is_complete_is_not_asked_for(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    path = tmp_path / "set.zip"
    part_path(path).write_bytes(BODY)
    download(remote(server), path, wait=waits)
    assert server.asked == []
    assert path.read_bytes() == BODY


def test_a_part_that_is_too_long_is_begun_anew(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    path = tmp_path / "set.zip"
    part_path(path).write_bytes(BODY + b"!")
    download(remote(server), path, wait=waits)
    assert server.asked == [None]
    assert path.read_bytes() == BODY


def test_a_range_that_the_server_does_not_have(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    path = tmp_path / "set.zip"
    part_path(path).write_bytes(b"x" * 2000)
    server.files["set.zip"] = BODY[:1000]
    with pytest.raises(UnusableInput, match="the server's file has 1,000 bytes"):
        download(remote(server), path, wait=waits)
    assert server.asked == ["bytes=2000-", None]


@pytest.mark.parametrize("value", ["bytes 0-102399/102400", "bytes */102400", "x"])
def test_a_range_that_was_not_asked_for(
    server: Unreliable, tmp_path: Path, waits: Waits, value: str
) -> None:
    path = tmp_path / "set.zip"
    part_path(path).write_bytes(BODY[:10])
    server.content_range = value
    with pytest.raises(UnusableInput, match="the server's answer makes no sense"):
        download(remote(server), path, wait=waits)
    assert part_path(path).read_bytes() == BODY[:10]


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    server.statuses = [503, 429]
    download(remote(server), tmp_path / "set.zip", wait=waits)
    assert waits == [2, 4]
    server.statuses = [403]
    with pytest.raises(MissingHere, match=r"it answers 403 Forbidden\); do this"):
        download(remote(server), tmp_path / "other.zip", remedy="do this", wait=waits)
    assert waits == [2, 4]


def test_a_redirection_is_followed_but_not_out_of_encryption(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    with serving() as other:
        other.files["moved.zip"] = BODY
        server.redirect = other.url("moved.zip")
        download(remote(server), tmp_path / "set.zip", wait=waits)
    assert (tmp_path / "set.zip").read_bytes() == BODY
    request = fetch.urllib.request.Request("https://example.org/a")
    with pytest.raises(fetch.urllib.error.HTTPError, match="a way without encryption"):
        fetch._NoDowngrade().redirect_request(
            request,
            None,  # type: ignore[arg-type]
            302,
            "Found",
            fetch.http.client.HTTPMessage(),
            "http://example.org/a",
        )


def test_no_network_is_told_after_one_attempt(tmp_path: Path, waits: Waits) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/set.zip"
    with pytest.raises(MissingHere) as caught:
        download(RemoteFile(url, 10), tmp_path / "set.zip", remedy="do this", wait=waits)
    assert str(caught.value) == f"{url}: it cannot be downloaded (connection refused); do this"
    assert waits == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_a_part_to_go_on_from(
    server: Unreliable, tmp_path: Path, waits: Waits
) -> None:
    path = tmp_path / "set.zip"
    with pytest.raises(KeyboardInterrupt):
        download(remote(server), path, CtrlC(), wait=waits)
    assert list(tmp_path.iterdir()) == [part_path(path)]
    come = part_path(path).read_bytes()
    assert come
    assert BODY.startswith(come)
    download(remote(server), path, wait=waits)
    assert path.read_bytes() == BODY
    assert server.asked[1:] in ([f"bytes={len(come)}-"], [])


def test_a_full_disk_is_no_broken_connection(
    server: Unreliable, tmp_path: Path, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(MissingHere) as caught:
        download(remote(server), tmp_path / "set.zip", wait=waits)
    assert "(no space left on device); free some space and run this again" in str(caught.value)
    assert waits == []


def test_too_little_space(tmp_path: Path) -> None:
    check_space(tmp_path, 0)
    with pytest.raises(MissingHere, match=r"1000000.0 GB are needed on this disk, and .* free"):
        check_space(tmp_path, 10**15)
