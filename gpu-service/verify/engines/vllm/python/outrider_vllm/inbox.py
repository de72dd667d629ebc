"""Lines of JSON, read by a thread of its own: bounded, so that whoever writes too fast is held back."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import Any, TextIO

MOST_WAITING = 1024
CLOSE: dict[str, Any] = {"type": "close"}

# When a message came in, by `now_ms`, and what it says.
Arrived = tuple[float, dict[str, Any]]


def now_ms() -> float:
    return time.perf_counter() * 1000


class Inbox:
    def __init__(self, lines: TextIO) -> None:
        self._queue: queue.Queue[Arrived] = queue.Queue(MOST_WAITING)
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def take(self, timeout: float | None = 0.0) -> list[Arrived]:
        """All that is there; waits up to `timeout` seconds for the first (None: for ever)."""
        messages: list[Arrived] = []
        try:
            messages.append(self._queue.get(block=timeout != 0, timeout=timeout or None))
            while len(messages) < MOST_WAITING:
                messages.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return messages

    def _read(self, lines: TextIO) -> None:
        """The end of the input is a close: our parent is gone. So is what cannot be read."""
        try:
            for line in lines:
                self._queue.put((now_ms(), json.loads(line)))
        finally:
            self._queue.put((now_ms(), CLOSE))
