"""What a recipe's `$names` stand for: its target, the model it begins with, and where results go."""

from __future__ import annotations

import os
from pathlib import Path

from trainer.errors import TrainerError
from trainer.recipe import Places, Recipe
from trainer.target import Target, find_target


def model_roots(given: list[Path]) -> list[Path]:
    """--models, else MODELS_ROOT, else the folder `models` here."""
    if given:
        return given
    return [Path(part) for part in os.environ.get("MODELS_ROOT", "models").split(os.pathsep)]


def models_of(recipe: Recipe, models: list[Path]) -> dict[str, Target]:
    """The models that the recipe names, by place. TrainerError says where one was looked for."""
    named = {"target": recipe.target, "base": recipe.base}
    return {place: find_target(model, model_roots(models)) for place, model in named.items() if model is not None}


def places_of(models: dict[str, Target], work: Path, out: Path, inputs: dict[str, Path | None] | None = None) -> Places:
    """`inputs`: what the job was given besides (`traffic`, `parent`), where it was."""
    return {
        **{name: folder for name, folder in (inputs or {}).items() if folder is not None},
        "work": work,
        "out": out,
        "lineage": work / "lineage.json",
        **{place: model.folder for place, model in models.items()},
    }


def planned_places(recipe: Recipe, models: list[Path], work: Path, out: Path) -> Places:
    """As `places_of`, but a model that is not here yet stands where it would be looked for first."""
    places = places_of({}, work, out, {"traffic": work / "traffic", "parent": work / "parent"})
    for place, model in {"target": recipe.target, "base": recipe.base}.items():
        if model is None:
            continue
        try:
            places[place] = find_target(model, model_roots(models)).folder
        except TrainerError:
            places[place] = model_roots(models)[0] / model
    return places
