"""Requests that were captured at the edge: gzipped JSON lines, as `gpu-service/protocol/traffic.ts` describes them.

What is read: `time` (ISO 8601), `target`, `prompt` and `output` (ids; the output is what the target confirmed) and
`sampling.temperature`.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError

SUFFIX = ".ndjson.gz"


@dataclass(frozen=True)
class Request:
    time: str
    prompt: tuple[int, ...]
    output: tuple[int, ...]
    temperature: float

    @property
    def day(self) -> str:
        return self.time[:10]

    @property
    def ids(self) -> tuple[int, ...]:
        return self.prompt + self.output


def read_requests(folder: Path, target: str, vocab: int) -> list[Request]:
    """Those of the target that have a prompt and an output, each text once, oldest first. TrainerError: bad file."""
    found: dict[tuple[int, ...], Request] = {}
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        for request in read_batch(path, target):
            if request.prompt and request.output:
                if max(request.ids) >= vocab or min(request.ids) < 0:
                    raise TrainerError(f"{path}: an id is not one of the target's {vocab:,}")
                found.setdefault(request.ids, request)
    return sorted(found.values(), key=lambda request: (request.time, request.ids))


def read_batch(path: Path, target: str) -> list[Request]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.strip()]
        return [parsed(line) for line in lines if line["target"] == target]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise TrainerError(f"{path} is no batch of captured requests: {error!r}") from None


def parsed(line: dict[str, Any]) -> Request:
    return Request(
        time=str(line["time"]),
        prompt=tuple(int(i) for i in line["prompt"]),
        output=tuple(int(i) for i in line["output"]),
        temperature=float(line["sampling"].get("temperature", 1.0)),
    )


def split(requests: list[Request], held_share: float) -> tuple[list[Request], list[Request]]:
    """Those to learn from and the newest `held_share`, to be judged by: new prompts only, where there are any.

    The cut is moved to the begin of a day where that leaves at least half of the wanted on each side: later days are
    the fairer judge.
    """
    cut = len(requests) - max(1, round(held_share * len(requests)))
    days = [at for at in range(1, len(requests)) if requests[at].day != requests[at - 1].day]
    fair = [at for at in days if at >= cut / 2 and len(requests) - at >= (len(requests) - cut) / 2]
    at = min(fair, key=lambda day: abs(day - cut), default=cut)
    seen = {request.prompt for request in requests[:at]}
    fresh = [request for request in requests[at:] if request.prompt not in seen]
    return requests[:at], fresh or requests[at:]
