"""Who gets an answer from the server of a page, and that bytes arrive as they were sent."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest

from tilewright.ir.errors import DeviceError, DeviceLostError
from tilewright.runtime_web.runner.channel import Channel

pytest.importorskip("websockets")


@pytest.fixture
def channel() -> Iterator[Channel]:
    opened = Channel()
    yield opened
    opened.close()


def get(channel: Channel, path: str | None = None, **headers: str) -> http.client.HTTPResponse:
    """The answer to a request for `path` below the page's folder, or for the page."""
    parts = urlsplit(channel.address)
    folder = parts.path.rpartition("/")[0]
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    connection.request("GET", parts.path if path is None else folder + path, headers=headers)
    return connection.getresponse()


def test_the_page_and_its_modules_are_served_and_nothing_else(channel: Channel) -> None:
    page = get(channel)
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert b"runner.js" in page.read()
    script = get(channel, "/runner.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    for path in ("/README.md", "/runner/channel.py", "/../pyproject.toml", "/", ""):
        assert get(channel, path).status in (403, 404), path


def test_only_who_knows_the_address_is_answered(channel: Channel) -> None:
    parts = urlsplit(channel.address)
    token = parts.path.split("/")[1]
    assert len(token) > 40
    for path in ("/", "/runner.html", f"/{token[:-1]}/runner.html", f"/{token}x/socket"):
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        connection.request("GET", path)
        assert connection.getresponse().status == 403
    assert parts.hostname == "127.0.0.1"


@pytest.mark.parametrize("header", ["Host", "Origin"])
def test_scripts_of_other_pages_are_not_answered(channel: Channel, header: str) -> None:
    """A name that leads here (DNS rebinding), or a request from another page."""
    assert get(channel, **{header: "http://example.org"}).status == 403


def connected(channel: Channel, silent_s: float = 0) -> threading.Thread:
    """A page that sends every blob back, twice, or that is silent and goes."""
    from websockets.sync.client import connect

    address = channel.address.replace("http", "ws").replace("runner.html", "socket")

    def serve() -> None:
        with connect(address, max_size=None, compression=None) as socket:
            time.sleep(silent_s)
            while not silent_s:
                sizes = json.loads(socket.recv())["blobs"]
                received = b""
                while len(received) < sum(sizes):
                    part = socket.recv()
                    assert isinstance(part, bytes)
                    received += part
                if not sizes:
                    return
                socket.send(json.dumps({"sizes": sizes, "blobs": [2 * len(received)]}))
                for start in range(0, 2 * len(received), 100_000):
                    socket.send((2 * received)[start : start + 100_000])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    channel.connect(10)
    return thread


def test_blobs_arrive_as_they_were_sent_and_nobody_else_gets_in(channel: Channel) -> None:
    page = connected(channel)
    words = np.random.default_rng(0).integers(0, 2**32, 700_001, np.uint32)
    empty = np.zeros(0, np.float32)
    reply = channel.request({"op": "echo"}, [words, empty, words[:3]], 10)
    assert reply.answer == {"sizes": [2_800_004, 0, 12]}
    sent = words.tobytes() + words[:3].tobytes()
    assert reply.blobs == [sent + sent]
    with pytest.raises(OSError, match="refused"):
        get(channel)
    with pytest.raises(DeviceLostError, match="has ended"):
        channel.request({"op": "end"}, (), 10)
    page.join(10)


def test_a_page_that_does_not_come_or_answer(channel: Channel) -> None:
    with pytest.raises(DeviceError, match=r"did not load the runner's page within 0.1 s"):
        channel.connect(0.1)
    page = connected(channel, silent_s=1)
    with pytest.raises(TimeoutError):
        channel.request({"op": "none"}, (), 0.1)
    page.join(10)
