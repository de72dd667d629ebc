"""Recipes: which stages, in which order, with which dials. Data only, checked before anything runs.

    {"name": "...", "target": "id" | null, "seed": 0, "stages": [{"stage": "corpus", "out": "corpus", ...}, ...]}

A stage's keys are the flags of its command. Paths are folders under the work folder, but for `$target` (the target's
folder), `$base` (the folder of the model that an optional `"base": "id"` names, to begin with), `$out` (where the
result goes), `$lineage` (what `run` writes about the recipe), and, where the job has them, `$traffic` (captured
requests) and `$parent` (the release to go on from).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError

KEYS = {"name", "target", "seed", "stages", "base"}
Places = dict[str, Path]
Parser = Callable[[str], argparse.ArgumentParser]


class RaisingParser(argparse.ArgumentParser):
    """Says what is wrong instead of ending the process."""

    def error(self, message: str) -> Any:
        raise TrainerError(message)


@dataclass(frozen=True)
class Recipe:
    name: str
    target: str | None
    seed: int
    stages: list[dict[str, Any]]
    base: str | None = None
    """A model to begin with."""


def read_recipe(path: Path) -> Recipe:
    """TrainerError names the file, the key and what it should be."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainerError(f"recipe {path} does not exist") from None
    except json.JSONDecodeError as error:
        raise TrainerError(f"recipe {path} is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise TrainerError(f"recipe {path} is not an object")
    if unknown := sorted(raw.keys() - KEYS):
        raise TrainerError(f"recipe {path}: unknown key {unknown[0]!r}")
    for key, kinds in {"name": str, "target": (str, type(None)), "seed": int, "stages": list}.items():
        if not isinstance(raw.get(key), kinds):  # type: ignore[arg-type]
            raise TrainerError(f"recipe {path}: {key!r} is missing or of the wrong kind")
    if not isinstance(raw.get("base"), str | None):
        raise TrainerError(f"recipe {path}: 'base' is of the wrong kind")
    if not all(isinstance(stage, dict) and isinstance(stage.get("stage"), str) for stage in raw["stages"]):
        raise TrainerError(f"recipe {path}: every entry of 'stages' is an object with a 'stage'")
    return Recipe(raw["name"], raw["target"], raw["seed"], raw["stages"], raw.get("base"))


def parse_stage(entry: dict[str, Any], parser_of: Parser, places: Places, seed: int) -> argparse.Namespace:
    """The arguments that a stage's command would have, `seed` filled in where it has one and the entry has not."""
    stage = str(entry["stage"])
    parser = parser_of(stage)
    flags = {flag[2:]: action for action in parser._actions for flag in action.option_strings}
    words: list[str] = []
    given = {key: value for key, value in entry.items() if key != "stage"}
    if "seed" in flags:
        given.setdefault("seed", seed)
    for key, value in given.items():
        if key not in flags:
            raise TrainerError(f"stage {stage!r}: unknown key {key!r}")
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in values):
            raise TrainerError(f"stage {stage!r}: {key!r} is not a text, a number or a list of them")
        if flags[key].type is Path:
            values = [resolve(str(v), places, stage) for v in values]
        words += [f"--{key}", *map(str, values)]
    try:
        return parser.parse_args(words)
    except TrainerError as error:
        raise TrainerError(f"stage {stage!r}: {error}") from None


def resolve(text: str, places: Places, stage: str) -> Path:
    """`$name` or `$name/rest` is a place; anything else lies under the work folder. Neither may be left."""
    if text.startswith("$"):
        name, _, rest = text[1:].partition("/")
        if name not in places:
            raise TrainerError(f"stage {stage!r}: there is no place ${name} (known: {', '.join(sorted(places))})")
        if not (places[name] / rest).resolve().is_relative_to(places[name].resolve()):
            raise TrainerError(f"stage {stage!r}: the path {text!r} leaves ${name}")
        return places[name] / rest
    path = (places["work"] / text).resolve()
    if not path.is_relative_to(places["work"].resolve()):
        raise TrainerError(f"stage {stage!r}: the path {text!r} leaves the work folder")
    return path
