"""A file from the internet: resumed after a break, checked, and whole or not there at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from lesionlite_runtime import __version__
from lesionlite_runtime.errors import MissingHere, UnusableInput, printable
from lesionlite_training.meter import Meter, SilentMeter, Tell

CHUNK = 1 << 20
TIMEOUT = 30.0
ATTEMPTS = 6
"""How often in a row a transfer may break without a byte won, before it is given up."""
_LONGEST_WAIT = 30.0
_TRY_LATER = {408, 429, 500, 502, 503, 504}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.ASCII)


@dataclass(frozen=True)
class RemoteFile:
    """A file at ``url`` of ``size`` bytes, with its SHA-256 in hex where that is known."""

    url: str
    size: int
    sha256: str | None = None

    @property
    def name(self) -> str:
        """The last part of its address."""
        return urlsplit(self.url).path.rpartition("/")[2]


class _BrokenError(Exception):
    """A transfer that broke, and may go on; ``answered`` tells whether there was any answer."""

    def __init__(self, reason: str, answered: bool = True) -> None:
        super().__init__(reason)
        self.answered = answered


def part_path(path: Path) -> Path:
    """Where the bytes that have come so far wait: ``PATH.part``."""
    return path.with_name(f"{path.name}.part")


def download(
    remote: RemoteFile,
    path: Path,
    meter: Meter | None = None,
    *,
    remedy: str = "run this again to go on from there",
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Download ``remote`` to ``path``, or what is missing of it in ``path.part``.

    The bytes gather in ``path.part``, which stays when the transfer is broken off, by Ctrl-C too;
    the next call goes on from there where the server can. Only a file of the right size (and
    digest) gets its final name.

    Args:
        remote: what to download.
        path: where to; nothing may lie there.
        meter: who is told of the bytes that are done.
        remedy: what to do where the server does not give it, for the error.
        wait: sleeps for some seconds between two attempts.

    Raises:
        MissingHere: when the server cannot be reached or refuses, or the disk is full.
        UnusableInput: when what comes has another size or digest.
    """
    part = part_path(path)
    if file_size(part) > remote.size:
        part.unlink()
    failures, furthest, online = 0, file_size(part), False
    with (meter or SilentMeter()).bar(f"Downloading {path.name}", remote.size) as tell:
        while (done := file_size(part)) < remote.size:
            tell(done)
            try:
                _transfer(remote, part, done, tell)
            except _BrokenError as error:
                online = online or error.answered
                won = file_size(part) > furthest
                furthest = max(furthest, file_size(part))
                failures = 1 if won else failures + 1
                # Without any answer there is most likely no network: say so at once.
                if not online or failures >= ATTEMPTS:
                    raise _refused(remote, str(error), remedy) from error
                wait(min(2.0**failures, _LONGEST_WAIT))
            except urllib.error.HTTPError as error:
                reason = f"it answers {error.code} {error.reason}"
                raise _refused(remote, reason, remedy) from error
        tell(remote.size)
    try:
        check_file(part, remote, meter)
    except UnusableInput:
        part.unlink()  # complete and wrong: there is nothing in it to go on from
        raise
    _finish(part, path)


def check_file(path: Path, remote: RemoteFile, meter: Meter | None = None) -> None:
    """Check that ``path`` has the size of ``remote``, and its digest where that is known.

    Raises:
        UnusableInput: when it has not.
    """
    size = file_size(path)
    if size != remote.size:
        raise UnusableInput(
            f"it has {size:,} bytes, not {remote.size:,}", "download it once more", path
        )
    if remote.sha256 is None:
        return
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as stream, (meter or SilentMeter()).bar("Checking it", size) as tell:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            tell(done)
    if digest.hexdigest() != remote.sha256:
        raise UnusableInput(
            f"its SHA-256 is {digest.hexdigest()[:12]}..., not {remote.sha256[:12]}...",
            "download it once more, or from another place",
            path,
        )


def check_space(folder: Path, needed: int) -> None:
    """Check that the disk of ``folder`` has ``needed`` bytes free.

    Raises:
        MissingHere: when it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise MissingHere(
            f"{needed / 1e9:.1f} GB are needed on this disk, and {free / 1e9:.1f} GB are free",
            "free some space or name another folder",
            folder,
        )


def file_size(path: Path) -> int:
    """The bytes of the file at ``path``; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows a redirection, unless it leads from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(req.full_url).scheme == "https" != urlsplit(newurl).scheme:
            raise urllib.error.HTTPError(newurl, code, "a way without encryption", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _transfer(remote: RemoteFile, part: Path, done: int, tell: Tell) -> None:
    """Ask for the bytes from ``done`` on, and add them to ``part``."""
    try:
        with _request(remote, done) as response:
            _receive(response, remote, part, done, tell)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()  # what has come is longer than the server's file: begin anew
        raise _BrokenError("it does not have the bytes that are missing") from error


def _request(remote: RemoteFile, done: int) -> http.client.HTTPResponse:
    """The server's answer, from byte ``done`` on where it can.

    Raises:
        _BrokenError: when there is none, or one that may be another the next time.
        urllib.error.HTTPError: when the server refuses.
    """
    headers = {"User-Agent": f"lesionlite/{__version__}", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    opener = urllib.request.build_opener(_NoDowngrade)
    try:
        response: http.client.HTTPResponse = opener.open(
            urllib.request.Request(remote.url, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _TRY_LATER:
            raise _BrokenError(f"it answers {error.code} {error.reason}") from error
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_reason(error), answered=False) from error
    return response


def _receive(
    response: http.client.HTTPResponse, remote: RemoteFile, part: Path, asked: int, tell: Tell
) -> None:
    """Append what comes to ``part``, or begin it anew where the server begins anew."""
    done = _start(response, remote, asked)
    try:
        with part.open("ab") as stream:
            stream.truncate(done)
            for chunk in _chunks(response):
                done += len(chunk)
                if done > remote.size:
                    raise _other_size(remote, f"more than {remote.size:,}")
                stream.write(chunk)
                tell(done)
    except OSError as error:
        raise _disk_fault(part, error) from error
    if done < remote.size:
        raise _BrokenError(f"the connection ended after {done:,} of {remote.size:,} bytes")


def _start(response: http.client.HTTPResponse, remote: RemoteFile, asked: int) -> int:
    """The place of the first byte that comes: ``asked``, or 0 from a server without ranges.

    Raises:
        UnusableInput: when the server's file has another size.
    """
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != asked:
            raise UnusableInput("the server's answer makes no sense", "try again", remote.url)
        if found[2] not in ("*", str(remote.size)):
            raise _other_size(remote, f"{int(found[2]):,}")
        return asked
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) != remote.size:
        raise _other_size(remote, f"{int(length):,}")
    return 0


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(_reason(error)) from error
        if not chunk:
            return
        yield chunk


def _finish(part: Path, path: Path) -> None:
    try:
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise _disk_fault(path, error) from error


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    words = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return printable(str(words).lower())


def _other_size(remote: RemoteFile, size: str) -> UnusableInput:
    return UnusableInput(
        f"the server's file has {size} bytes, not {remote.size:,}",
        "get the file from another place",
        remote.url,
    )


def _refused(remote: RemoteFile, reason: str, remedy: str) -> MissingHere:
    return MissingHere(f"it cannot be downloaded ({printable(reason)})", remedy, remote.url)


def _disk_fault(path: Path, error: OSError) -> MissingHere:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = (error.strerror or str(error)).lower()
    remedy = "free some space and run this again to go on" if full else "name another folder"
    return MissingHere(f"the file cannot be written ({reason})", remedy, path)
