"""Leaks of the evaluation into what a recipe learned from are found, wherever they lie, and nothing else is."""

import json
from pathlib import Path

import numpy as np
import pytest

from trainer.decontaminate import against_evaluation
from trainer.documents import write_documents
from trainer.held_prompts import held_prompts
from trainer.leaks import find_leaks, learned_from
from trainer.recipe import Recipe
from trainer.texts import Text, shard_path, write_shard
from trainer.vocabulary import Vocabulary

TARGET = Path(__file__).resolve().parents[2] / "infra/models/tiny/target"
STAGES = [
    {"stage": "corpus", "out": "corpus"},
    {"stage": "finetune", "model": "m", "corpus": "corpus", "out": "f"},
    {"stage": "distil", "texts": ["texts", "more"], "draft": "f", "target": "$target", "out": "draft"},
    {"stage": "evaluate", "draft": "draft", "held": "held", "out": "evaluation"},
]
RECIPE = Recipe("r", "tiny", 0, STAGES)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.read(TARGET)


def text_of(vocabulary: Vocabulary, prompt: str, response: str) -> Text:
    ids = [vocabulary.encode(prompt), vocabulary.encode(response)]
    rows = len(ids[1])
    return Text(
        domain="code",
        temperature=0.0,
        prompt=len(ids[0]),
        ids=np.array(ids[0] + ids[1], np.int32),
        top_ids=np.zeros((rows, 1), np.int32),
        top_logits=np.zeros((rows, 1), np.float16),
        logsumexp=np.zeros(rows, np.float32),
    )


def write(work: Path, vocabulary: Vocabulary, documents: list[str], texts: dict[str, list[tuple[str, str]]]) -> None:
    write_documents(work / "corpus", ({"path": "p", "text": text, "licence": None} for text in documents))
    for name, pairs in texts.items():
        (work / name).mkdir()
        write_shard(shard_path(work / name, 0), [text_of(vocabulary, *pair) for pair in pairs])


def test_leaks_are_found_in_documents_prompts_and_responses(tmp_path: Path, vocabulary: Vocabulary) -> None:
    held = next(prompt.text for prompt in held_prompts(vocabulary, 4) if prompt.domain == "code")
    clean = ("def double(x):\n", "    return 2 * x\n")
    write(
        tmp_path,
        vocabulary,
        ["import os\nprint(os.getcwd())\n", "# copied\n" + held],
        {"texts": [clean, (held, "pass")], "more": [clean, ("x = 1\n", held), clean], "held": [(held, "pass")]},
    )
    leaks = find_leaks(RECIPE, tmp_path, vocabulary, against_evaluation())
    assert (leaks.documents, leaks.prompts, leaks.responses, leaks.texts) == (1, 1, 1, 7)
    assert leaks.examples == (
        "corpus: document 1 (document)",
        "texts: text 1 (prompt)",
        "more: text 1 (response)",
    )


def test_what_is_only_evaluated_on_is_no_leak(tmp_path: Path, vocabulary: Vocabulary) -> None:
    assert [folder.name for folder in learned_from(RECIPE, tmp_path)] == ["corpus", "texts", "more"]


def test_every_shipped_recipe_names_what_it_learns_from(tmp_path: Path) -> None:
    folder = Path(__file__).resolve().parents[2] / "gpu-service/training/recipes"
    for path in sorted(folder.glob("*.json")):
        raw = json.loads(path.read_text())
        recipe = Recipe(raw["name"], raw["target"], raw["seed"], raw["stages"])
        assert list(learned_from(recipe, tmp_path)), path.name
