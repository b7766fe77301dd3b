"""A web server on this machine that misbehaves as it is told."""

import http.server
import re
import threading
from dataclasses import dataclass, field

import pytest


@dataclass
class Page:
    """What the local server has at one path, and how it misbehaves."""

    content: bytes = b""
    mark: str | None = '"v1"'
    date: str | None = None
    ranges: bool = True
    # One a request, as long as they last: a status to fail with, or a number of bytes to break the connection after.
    statuses: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    claimed: int | None = None
    location: str | None = None
    wrong_range: bool = False


class Site:
    """A server on 127.0.0.1 that keeps a record of what it was asked."""

    def __init__(self):
        self.pages = {}
        self.asked = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.asked.append((self.path, dict(self.headers)))
                site.answer(self, site.pages.get(self.path))

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A client that gave up is no news.
        self.server.handle_error = lambda *arguments: None
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def put(self, path, content=b"", **behaviour):
        """Have `content` at `path`; returns the `Page`, for a test to change later."""
        self.pages[path] = Page(content, **behaviour)
        return self.pages[path]

    def ranges(self, path="/data.zip"):
        """The Range headers that were sent for a path, None where there was none."""
        return [headers.get("Range") for asked, headers in self.asked if asked == path]

    def answer(self, request, page):
        status = page.statuses.pop(0) if page and page.statuses else 200 if page else 404
        if status != 200 or page.location:
            request.send_response(302 if status == 200 else status)
            if page and page.location:
                request.send_header("Location", page.location)
            for name, value in (page.headers if page else {}).items():
                request.send_header(name, value)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        start, size = 0, len(page.content)
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        same = request.headers.get("If-Range") in (None, page.mark, page.date)
        if wanted and page.ranges and same:
            start = int(wanted[1])
            if start >= size:
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{size}")
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
            if page.wrong_range:
                start += 1
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            request.send_response(200)
        for name, value in [("ETag", page.mark), ("Last-Modified", page.date), *page.headers.items()]:
            if value is not None:
                request.send_header(name, value)
        body = page.content[start:]
        if page.chunked:
            request.send_header("Transfer-Encoding", "chunked")
        else:
            request.send_header("Content-Length", str(page.claimed if page.claimed is not None else len(body)))
        request.end_headers()
        broken = page.breaks.pop(0) if page.breaks else None
        sent = body[:broken]
        if page.chunked:
            request.wfile.write(b"%x\r\n" % len(body) + sent)
            if broken is None:
                request.wfile.write(b"\r\n0\r\n\r\n")
        else:
            request.wfile.write(sent)
        if broken is not None:
            request.close_connection = True


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Site()
    yield running
    running.close()
