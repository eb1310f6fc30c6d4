"""A local HTTP server that misbehaves as servers and connections do, and an impatient user."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Unreliable:
    """What the server serves and how; the address and the ``Range`` header of each request.

    Attributes:
        files: body of each path.
        ranges: answer 206 to a ``Range`` header; else always the whole file.
        drop_after: bytes after which the connection ends, one number a request, then never.
        statuses: codes to answer with before anything else, one a request.
        chunked: send no length at all.
        content_range: ``Content-Range`` in place of the right one.
        redirect: address to answer 302 with.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    drop_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    chunked: bool = False
    content_range: str | None = None
    redirect: str | None = None
    base: str = ""
    asked: list[str | None] = field(default_factory=list)

    def url(self, name: str) -> str:
        """The address of the file ``name``."""
        return f"{self.base}/{name}"


@contextlib.contextmanager
def serving() -> Iterator[Unreliable]:
    """A server on 127.0.0.1 while the block runs; change its plan as you like."""
    plan = Unreliable()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            answer(self, plan)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    plan.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield plan
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, plan: Unreliable) -> None:
    """Answer one request by the plan."""
    wanted = handler.headers.get("Range")
    plan.asked.append(wanted)
    body = plan.files.get(handler.path.lstrip("/"))
    if plan.statuses:
        handler.send_error(plan.statuses.pop(0))
        return
    if plan.redirect is not None:
        handler.send_response(302)
        handler.send_header("Location", plan.redirect)
        handler.end_headers()
        return
    if body is None:
        handler.send_error(404)
        return
    start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and plan.ranges else 0
    if start and start >= len(body):
        handler.send_error(416)
        return
    rest = body[start:]
    handler.send_response(206 if wanted and plan.ranges else 200)
    if wanted and plan.ranges:
        right = f"bytes {start}-{len(body) - 1}/{len(body)}"
        handler.send_header("Content-Range", plan.content_range or right)
    if not plan.chunked:
        handler.send_header("Content-Length", str(len(rest)))
    handler.end_headers()
    handler.wfile.write(rest[: plan.drop_after.pop(0)] if plan.drop_after else rest)
    handler.close_connection = True


class CtrlC:
    """A meter at which Ctrl-C is pressed when some bytes have come."""

    def bar(
        self, label: str, total: int
    ) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """A block that ends at the first byte."""
        del label, total
        return contextlib.nullcontext(self._press)

    def _press(self, done: int) -> None:
        if done:
            raise KeyboardInterrupt
