"""A line to an HTTP server that can be cut at a certain request, before it arrives or before its answer does."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP = ("connection", "transfer-encoding", "keep-alive", "content-length", "date", "server")


@dataclass
class Line:
    """A line to a server.

    Attributes:
        target: where it leads.
        address: where it begins.
        seen: the requests that came, as method and path.
        cut: tells whether to cut at a request, from its number and its name; None: not at all.
        is_answered: whether the server still gets the request that it is cut at, so that only the answer is lost.
        on_cut: called when it is cut.
        is_cut: whether it is; nothing goes through it then.
    """

    target: str
    address: str = ""
    seen: list[str] = field(default_factory=list)
    cut: Callable[[int, str], bool] | None = None
    is_answered: bool = False
    on_cut: Callable[[], None] | None = None
    is_cut: bool = False

    def mend(self, target: str = "") -> None:
        """Let everything through again, to another server if one is named."""
        self.target = target or self.target
        self.cut, self.is_cut, self.on_cut = None, False, None
        self.seen.clear()


@contextmanager
def line_to(target: str) -> Iterator[Line]:
    """Give a line to a server, which ends with the block."""
    line = Line(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # each request its own connection

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            name = f"{self.command} {urlsplit(self.path).path}"
            line.seen.append(name)
            if not line.is_cut and line.cut is not None and line.cut(len(line.seen), name):
                line.is_cut = True
                if line.is_answered:
                    self.ask(body)
                if line.on_cut is not None:
                    line.on_cut()
            if line.is_cut:
                self.close_connection = True
                return
            status, headers, answer = self.ask(body)
            self.send_response(status)
            for header, value in headers:
                if header.lower() not in HOP:
                    self.send_header(header, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            place = urlsplit(line.target)
            connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            headers["Host"] = place.netloc
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            found = answer.status, answer.getheaders(), answer.read()
            connection.close()
            return found

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    line.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield line
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
