"""Recipes are checked before anything runs, and every fault is named."""

import json
from pathlib import Path

import pytest

from trainer.errors import TrainerError
from trainer.recipe import parse_stage, read_recipe
from trainer.stages import parser_of

RECIPES = Path(__file__).resolve().parents[2] / "gpu-service/training/recipes"
GOOD = {"name": "x", "target": None, "seed": 0, "stages": [{"stage": "corpus", "out": "corpus"}]}


def written(tmp_path: Path, **change: object) -> Path:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({**GOOD, **change}))
    return path


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.json")))
def test_shipped_recipes_are_valid(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(RECIPES / f"{name}.json")
    places = {"work": tmp_path, "out": tmp_path, "lineage": tmp_path, "target": tmp_path, "base": tmp_path}
    places |= {"traffic": tmp_path, "parent": tmp_path}
    parsed = [parse_stage(entry, parser_of, places, recipe.seed) for entry in recipe.stages]
    assert recipe.name == name
    for entry, args in zip(recipe.stages, parsed, strict=True):
        assert getattr(args, "seed", None) in (None, entry.get("seed", recipe.seed))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"seed": "0"}, "'seed'"),
        ({"stages": {}}, "'stages'"),
        ({"stages": [{"out": "x"}]}, "'stage'"),
        ({"target": 3}, "'target'"),
    ],
)
def test_faults_of_a_recipe(change: dict, named: str, tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=named):
        read_recipe(written(tmp_path, **change))


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"stage": "corpse", "out": "x"}, "unknown stage 'corpse'"),
        ({"stage": "corpus", "out": "x", "megabyte": 3}, "unknown key 'megabyte'"),
        ({"stage": "corpus"}, "--out"),
        ({"stage": "corpus", "out": "x", "megabytes": "many"}, "--megabytes"),
        ({"stage": "corpus", "out": "../x"}, "leaves the work folder"),
        ({"stage": "corpus", "out": "$work/../x"}, r"leaves \$work"),
        ({"stage": "corpus", "out": "$nowhere"}, r"no place \$nowhere"),
        ({"stage": "corpus", "out": True}, "'out'"),
        ({"stage": "corpus", "out": {}}, "'out'"),
    ],
)
def test_faults_of_a_stage(entry: dict, named: str, tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=named):
        parse_stage(entry, parser_of, {"work": tmp_path}, 0)


def test_what_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="does not exist"):
        read_recipe(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(TrainerError, match="not JSON"):
        read_recipe(tmp_path / "bad.json")
