"""MediaPipe Tasks for Web and LiteRT.js in a headless Chromium, everything from this machine."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

WEB = Path(__file__).parent / "web"
# The page may talk to this server alone; WebAssembly is compiled, and the import map is inline.
POLICY = (
    "default-src 'none'; connect-src 'self'; worker-src 'self' blob:; "
    "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'"
)
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
PATIENCE = 300.0  # seconds without a message from the page


class BrowserFailed(Exception):
    """The page did not get to its end."""


def run_page(
    job: Path, packages: Path, extra: dict[str, bytes], chromium: Path, page: str = ""
) -> dict[str, Any]:
    """Serve the page, open it, and return what it posted: ``results`` and ``done``.

    Args:
        job: the folder of files; served as ``/job/``.
        packages: a ``node_modules`` folder; served as ``/packages/``.
        extra: more to serve, by address.
        chromium: the browser.
        page: its address on the server, below ``web/`` where it is not that folder's own.

    Raises:
        BrowserFailed: when the page reports an error ends, or is silent for five minutes.
    """
    posted: queue.Queue[tuple[str, Any]] = queue.Queue()
    handler = partial(_Handler, job=job, packages=packages, extra=extra, posted=posted)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        log = Path(profile, "log")
        with log.open("wb") as stream:
            browser = subprocess.Popen(
                _command(chromium, profile, server.server_port, page), stdout=stream, stderr=stream
            )
        try:
            return _collect(posted, browser)
        except BrowserFailed as error:
            said = log.read_text("utf-8", "replace")[-1500:]
            raise BrowserFailed(f"{error}; the browser said: {said}") from error
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
            server.server_close()


def _collect(
    posted: queue.Queue[tuple[str, Any]], browser: subprocess.Popen[bytes]
) -> dict[str, Any]:
    results = []
    last = time.monotonic()
    while time.monotonic() - last < PATIENCE:
        try:
            kind, body = posted.get(timeout=1)
        except queue.Empty:
            if browser.poll() is not None:
                raise BrowserFailed(f"the browser ended with code {browser.returncode}") from None
            continue
        last = time.monotonic()
        if kind == "failed":
            raise BrowserFailed(f"{body['message']} {body['stack']}")
        if kind == "done":
            return {"results": results, "done": body}
        results.append(body)
    raise BrowserFailed(f"nothing came from the page for {PATIENCE:.0f} s")


def _command(chromium: Path, profile: str, port: int, page: str) -> list[str]:
    flags = [
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        f"--user-data-dir={profile}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium refuses to sandbox for root
    return [str(chromium), *flags, f"http://127.0.0.1:{port}/{page}"]


class _Handler(SimpleHTTPRequestHandler):
    """Files of three folders, some bytes, and a place to post to."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012

    def __init__(
        self,
        *args: Any,
        job: Path,
        packages: Path,
        extra: dict[str, bytes],
        posted: queue.Queue[tuple[str, Any]],
        **kwargs: Any,
    ) -> None:
        self._folders = {"job": job, "packages": packages, "web": WEB}
        self._extra = extra
        self._posted = posted
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        """The file at an address; one that does not exist for anything else."""
        rest = path.partition("?")[0].lstrip("/")
        folder, _, name = rest.partition("/")
        if not rest:
            return str(WEB / "index.html")
        root = self._folders.get(folder, WEB / "nowhere").resolve()
        found = (root / name).resolve()
        return str(found if found.is_relative_to(root) else WEB / "nowhere")

    def end_headers(self) -> None:
        """The policy in every answer."""
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def do_GET(self) -> None:
        """A file, or bytes from memory."""
        if self.path not in self._extra:
            super().do_GET()
            return
        data = self._extra[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        """Take what the page says."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._posted.put((self.path.strip("/"), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what matters is posted."""
