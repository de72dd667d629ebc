"""What a stage says while it runs: a line per report on stderr, an event per report in a JSONL file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

BAR_WIDTH = 20


class Progress:
    def __init__(self, stage: str, events: Path | None = None, every_s: float = 2.0, silent: bool = False) -> None:
        """`silent`: of several processes one speaks."""
        self.stage = stage
        self.events = None if silent else events
        self.silent = silent
        self.every_s = every_s
        self.began = time.monotonic()
        self.last = 0.0
        self.first_step: int | None = None

    def step(
        self, step: int, steps: int, *, tokens: int = 0, loss: float | None = None, tok_s: float | None = None
    ) -> None:
        """Report step `step` of `steps`; calls closer than `every_s` seconds are dropped, the last step never."""
        now = time.monotonic()
        if self.first_step is None:
            self.first_step = step - 1
        if step < steps and now - self.last < self.every_s:
            return
        self.last = now
        done = step - self.first_step
        eta_s = (now - self.began) / done * (steps - step) if done else None
        self.write(step=step, steps=steps, tokens=tokens, loss=loss, tok_s=tok_s, eta_s=eta_s)
        parts = [f"{self.stage}: {bar(step / steps)} {step}/{steps}"]
        parts += [f"loss {loss:.4f}"] if loss is not None else []
        parts += [f"{tok_s:,.0f} tokens/s"] if tok_s is not None else []
        parts += [f"{eta_s:,.0f} s left"] if eta_s is not None and step < steps else []
        self.say("  ".join(parts))

    def of(self, stage: str) -> Progress:
        """The same for another stage."""
        return Progress(stage, self.events, self.every_s, self.silent)

    def say(self, text: str) -> None:
        if not self.silent:
            print(text, file=sys.stderr, flush=True)

    def write(self, **fields: object) -> None:
        """Append one event; the file is only ever appended to, so a follower may read it as it grows."""
        if self.events is not None:
            with self.events.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"stage": self.stage, **fields}) + "\n")


def bar(share: float) -> str:
    full = round(BAR_WIDTH * share)
    return f"[{'#' * full}{'.' * (BAR_WIDTH - full)}]"
