"""`run`: every stage of a recipe in order. A finished stage leaves a marker, so a rerun goes on where it was cut off.

A marker holds the stage's dials: a recipe that has changed since is refused, not mixed with the old one's results.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from checkpoints.digest import sha256_of
from trainer.errors import TrainerError
from trainer.folders import write_text
from trainer.parallel import rank
from trainer.places import models_of, places_of
from trainer.progress import Progress
from trainer.recipe import Places, Recipe, parse_stage, read_recipe
from trainer.stages import module_of, parser_of
from trainer.target import make_folder
from trainer.training import CHECKPOINT_FILE

MANIFEST_FILE = "manifest.json"
SHARED_STAGES = ("pretrain", "finetune")
"""What the processes of `torchrun` do together; the rest the first does alone."""
LOOK_S = 0.5


def commit() -> str | None:
    """What this checkout is at; None outside of one."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def manifests(work: Path) -> dict[str, Any]:
    """What the stages so far say about their data, by folder."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(work.glob(f"*/{MANIFEST_FILE}"))}


def write_lineage(path: Path, recipe: Recipe, recipe_file: Path, places: Places, work: Path) -> None:
    target, parent = places.get("target"), places.get("parent")
    lineage = {
        "recipe": recipe.name,
        "recipe_sha256": sha256_of(recipe_file),
        "seed": recipe.seed,
        "target_weights_sha256": sha256_of(target / "model.safetensors") if target else None,
        "data": manifests(work),
        "parent": parent.name if parent else None,
        "commit": commit(),
    }
    write_text(path, json.dumps(lineage, indent=2) + "\n")


def drop_checkpoint(stage_args: argparse.Namespace) -> None:
    """Once a stage's marker is there, its checkpoint (three times the model) is of no use."""
    if stage_args.out.is_dir():
        (stage_args.out / CHECKPOINT_FILE).unlink(missing_ok=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", type=Path, required=True, help="JSON file")
    parser.add_argument("--work", type=Path, required=True, help="folder for what the stages leave")
    parser.add_argument("--out", type=Path, required=True, help="folder for the result")
    parser.add_argument("--traffic", type=Path, help="folder of captured requests, where the recipe asks for $traffic")
    parser.add_argument("--parent", type=Path, help="release folder, named by its id, where it asks for $parent")
    parser.add_argument(
        "--models", type=Path, action="append", default=[], help="where target ids are looked up (MODELS_ROOT)"
    )


def main(args: argparse.Namespace, progress: Progress) -> None:
    recipe = read_recipe(args.recipe)
    first = rank() == 0
    models = models_of(recipe, args.models)
    places = places_of(models, args.work, args.out, {"traffic": args.traffic, "parent": args.parent})
    parsed = [parse_stage(entry, parser_of, places, recipe.seed) for entry in recipe.stages]
    if first:
        for place, model in models.items():
            make_folder(model, Progress(place, args.events))
    done = args.work / "done"
    done.mkdir(parents=True, exist_ok=True)
    for index, (entry, stage_args) in enumerate(zip(recipe.stages, parsed, strict=True)):
        stage = str(entry["stage"])
        marker = done / f"{index:02d}-{stage}.json"
        if is_done(marker, entry):
            progress.say(f"{stage}: done before")
        elif first:
            began = time.monotonic()
            write_lineage(places["lineage"], recipe, args.recipe, places, args.work)
            do_stage(stage, stage_args, progress)
            write_text(marker, json.dumps(entry) + "\n")
            drop_checkpoint(stage_args)
            progress.say(f"{stage}: done in {time.monotonic() - began:.1f} s")
        else:
            if stage in SHARED_STAGES:
                do_stage(stage, stage_args, progress)
            wait_for(marker)


def is_done(marker: Path, entry: dict[str, Any]) -> bool:
    """TrainerError where it was done with other dials."""
    if not marker.exists():
        return False
    if json.loads(marker.read_text()) == entry:
        return True
    raise TrainerError(
        f"stage {entry['stage']!r} was done in {marker.parent.parent} with other dials; a changed recipe needs a new "
        f"--work folder"
    )


def do_stage(stage: str, args: argparse.Namespace, progress: Progress) -> None:
    try:
        module_of(stage).main(args, progress.of(stage))
    except TrainerError as error:
        raise TrainerError(f"stage {stage!r}: {error}") from None


def wait_for(marker: Path) -> None:
    """Until the first process has done a stage; torchrun ends this one where that fails."""
    while not marker.exists():
        time.sleep(LOOK_S)
