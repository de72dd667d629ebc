"""The line to the service that started this process: a local socket, and a secret that says who is calling."""

from __future__ import annotations

import json
import os
import socket
from typing import Any, TextIO

# Set by the service; taken out of the environment, so that vLLM's workers do not inherit them.
SOCKET, SECRET = "OUTRIDER_VLLM_SOCKET", "OUTRIDER_VLLM_SECRET"


class Channel:
    """`lines`: what the service says, one JSON object a line; their end is the service's."""

    def __init__(self, path: str, secret: str) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        self.lines: TextIO = connection.makefile("r", encoding="utf-8")
        self._connection = connection
        self._send(secret)

    @staticmethod
    def of_environment() -> Channel:
        """Raises KeyError where the service did not start us, OSError where it is gone."""
        return Channel(os.environ.pop(SOCKET), os.environ.pop(SECRET))

    def say(self, message: dict[str, Any]) -> None:
        """Blocks while the service takes nothing in. Raises OSError where it is gone."""
        self._send(json.dumps(message, separators=(",", ":")))

    def _send(self, line: str) -> None:
        self._connection.sendall(f"{line}\n".encode())
