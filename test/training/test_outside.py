"""A download that is led into this network is refused where the connection would be made."""

import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from checkpoints.outside import PrivateAddressError, public_addresses_only


class Inside(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        Inside.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a secret of this network")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def inside() -> Iterator[str]:
    Inside.asked = 0
    server = HTTPServer(("127.0.0.1", 0), Inside)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def fetch(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return bytes(answer.read())


PRIVATE = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1"]


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused(host: str) -> None:
    with public_addresses_only(), pytest.raises(PrivateAddressError, match="is not a public address"):
        socket.getaddrinfo(host, 443)


def test_a_name_that_resolves_to_a_private_address_is_refused_and_nothing_is_sent(inside: str) -> None:
    assert fetch(inside)
    with public_addresses_only(), pytest.raises(OSError, match="not a public address"):
        fetch(inside.replace("127.0.0.1", "localhost"))
    assert Inside.asked == 1
    assert fetch(inside), "what was patched is as it was"


def test_public_addresses_and_what_the_environment_names_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    monkeypatch.setenv("HF_ENDPOINT", "http://10.0.0.9/mirror")
    with public_addresses_only():
        for host in ("8.8.8.8", "127.0.0.1", "10.0.0.9"):
            assert socket.getaddrinfo(host, 443)
        with pytest.raises(PrivateAddressError):
            socket.getaddrinfo("10.0.0.8", 443)
