"""`prompts.jsonl`: what a target is asked to go on from, a prompt a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from trainer.errors import TrainerError
from trainer.folders import write_text


@dataclass(frozen=True)
class Prompt:
    domain: str
    text: str
    temperature: float


def read_prompts(path: Path) -> list[Prompt]:
    try:
        # Not `splitlines`: a prompt may hold other ends of line, which JSON leaves as they are.
        return [Prompt(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]
    except FileNotFoundError:
        raise TrainerError(f"{path} is missing: run stage `prompts` first") from None
    except (json.JSONDecodeError, TypeError) as error:
        raise TrainerError(f"{path} is no list of prompts: {error}") from None


def write_prompts(path: Path, prompts: list[Prompt]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(json.dumps(asdict(prompt), ensure_ascii=False) + "\n" for prompt in prompts))
