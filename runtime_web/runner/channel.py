"""A connection to one page: the files that it consists of, then requests and replies.

In: requests with blobs of bytes. Out: replies with blobs. Files and connection are served on
127.0.0.1, below a path that only the page knows; once it has connected, nobody else is served. A
WebSocket carries the bytes: what goes through a browser's debugging protocol becomes base64.
"""

from __future__ import annotations

import hmac
import json
import mimetypes
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from tilewright.ir.errors import DeviceError, DeviceLostError
from tilewright.ir.transfer import Words

if TYPE_CHECKING:
    from websockets.http11 import Request, Response
    from websockets.sync.server import Server, ServerConnection

PAGE: Final = "runner.html"
_SOCKET: Final = "socket"
_FILES: Final = Path(__file__).resolve().parent.parent
_SUFFIXES: Final = (".html", ".js")
# Chromium moves messages of this size several times faster than larger or much smaller ones.
_CHUNK_BYTES: Final = 1 << 20
# Only a page that is alone in its process gets a clock finer than 0.1 ms.
_ISOLATED: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-store",
}


class Reply(Struct, frozen=True):
    """What the page answered."""

    answer: dict[str, Any]
    blobs: list[bytearray]


class Channel:
    """One page's connection; requests come from one thread at a time."""

    def __init__(self) -> None:
        self._token = secrets.token_urlsafe(32)
        self._connections: SimpleQueue[ServerConnection] = SimpleQueue()
        self._connection: ServerConnection | None = None
        self._ended = threading.Event()
        # What can be asked for is exactly these.
        self._files = {
            file.name: file.read_bytes() for file in _FILES.iterdir() if file.suffix in _SUFFIXES
        }
        self._server = _serve(self._keep, self._answer)
        self._origin = f"127.0.0.1:{self._server.socket.getsockname()[1]}"
        # A daemon, and so are the threads of its connections: they must not keep the process alive.
        threading.Thread(
            target=self._server.serve_forever, name="tilewright-browser-files", daemon=True
        ).start()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{self._origin}/{self._token}/{PAGE}"

    def connect(self, timeout_s: float) -> None:
        """Wait for the page, and serve no other from then on."""
        try:
            self._connection = self._connections.get(timeout=timeout_s)
        except Empty:
            raise DeviceError(
                f"the browser did not load the runner's page within {timeout_s:g} s"
            ) from None
        self._server.socket.close()  # nobody else gets in

    def request(
        self, header: dict[str, Any], blobs: Sequence[Words] = (), timeout_s: float | None = None
    ) -> Reply:
        """Ask the page; `TimeoutError`, or `DeviceLostError` if the page is gone."""
        from websockets.exceptions import ConnectionClosed

        connection = self._connection
        assert connection is not None
        views = [blob.view("u1").data for blob in blobs]
        try:
            sizes = [view.nbytes for view in views]
            connection.send(msgspec.json.encode({**header, "blobs": sizes}).decode())
            for view in views:
                for start in range(0, view.nbytes, _CHUNK_BYTES):
                    connection.send(view[start : start + _CHUNK_BYTES])
            answer = json.loads(connection.recv(timeout_s))
            return Reply(answer, [self._blob(connection, size) for size in answer.pop("blobs")])
        except ConnectionClosed:
            raise DeviceLostError("the browser, or its page, has ended") from None

    def close(self) -> None:
        """End the connection, and stop serving."""
        self._ended.set()
        self._server.shutdown()

    def _blob(self, connection: ServerConnection, size: int) -> bytearray:
        blob = bytearray(size)
        filled = 0
        while filled < size:
            chunk = connection.recv()
            blob[filled : filled + len(chunk)] = chunk  # type: ignore[assignment]
            filled += len(chunk)
        return blob

    def _keep(self, connection: ServerConnection) -> None:
        # The connection is closed when this returns.
        self._connections.put(connection)
        self._ended.wait()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """A file of the page; None goes on to open the WebSocket."""
        _, token, name = (*request.path.split("/", 2), "", "")[:3]
        known = hmac.compare_digest(token.encode(), self._token.encode())
        # Another page's scripts may send requests here, but not with these headers.
        foreign = request.headers.get("Host") != self._origin or (
            request.headers.get("Origin", f"http://{self._origin}") != f"http://{self._origin}"
        )
        if not known or foreign or self._connection is not None:
            return connection.respond(403, "")
        if name == _SOCKET:
            return None
        if name not in self._files:
            return connection.respond(404, "")
        return _file_response(name, self._files[name])


def _file_response(name: str, body: bytes) -> Response:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
    headers = Headers({"Content-Type": f"{kind}; charset=utf-8", **_ISOLATED})
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Response(200, "OK", headers, body)


def _serve(handler: Any, process_request: Any) -> Server:
    from websockets.sync.server import serve

    return serve(
        handler,
        "127.0.0.1",
        0,
        process_request=process_request,
        compression=None,
        max_size=None,
        ping_interval=None,  # a busy page answers late
    )
