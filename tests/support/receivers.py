"""Real servers on this machine that keep what they are sent: a web hook and a mail server."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, TCPServer
from typing import Any

Messages = list[dict[str, str]]


@contextmanager
def web_hook() -> Iterator[tuple[str, Messages]]:
    """Give the address of a web hook and the JSON documents posted to it; a path that ends in "gone" gets a 404."""
    messages: Messages = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            messages.append({"path": self.path, **json.loads(self.rfile.read(length))})
            self.send_response(404 if self.path.endswith("gone") else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with _served(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        yield f"http://127.0.0.1:{port}", messages


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """Give the port of a mail server without encryption or log-in, and the messages sent to it."""
    messages: list[str] = []

    class Mailbox(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            for line in self.rfile:
                word = line[:4].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    messages.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 yes\r\n")
                if word == b"QUIT":
                    return

    with _served(TCPServer(("127.0.0.1", 0), Mailbox)) as port:
        yield port, messages


@contextmanager
def _served(server: Any) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
