"""The socket to the service: the secret first, then each message at once, a line each."""

import json
import os
import socket
from pathlib import Path

import pytest

from outrider_vllm.channel import SECRET, SOCKET, Channel


def test_what_is_said_and_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as service:
        service.bind(path)
        service.listen()
        monkeypatch.setenv(SOCKET, path)
        monkeypatch.setenv(SECRET, "known to both")
        channel = Channel.of_environment()
        assert SECRET not in os.environ
        accepted, _ = service.accept()
        accepted.settimeout(10)
        heard = accepted.makefile("r", encoding="utf-8")
        assert heard.readline() == "known to both\n"
        channel.say({"type": "opened", "stream": 1})
        assert json.loads(heard.readline()) == {"type": "opened", "stream": 1}
        accepted.sendall(b'{"type":"close"}\n')
        assert json.loads(channel.lines.readline()) == {"type": "close"}
        heard.close()
        accepted.close()
        assert channel.lines.readline() == ""


def test_without_a_service_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Channel(str(tmp_path / "nobody"), "x")
