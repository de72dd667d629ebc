"""Whether anything of the evaluation is in what a recipe trained on: texts that share a run of words with it.

Looked at are the corpora and texts that the recipe's stages learned from, as they lie in the work folder. Every stage
that gathers data keeps the evaluation out already; this is the check that it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.documents import Documents
from trainer.recipe import Recipe, resolve
from trainer.texts import read_texts
from trainer.vocabulary import Vocabulary

LEARNED = {"tokenize": "corpus", "finetune": "corpus", "distil": "texts"}
"""The dial that names a stage's data."""
EXAMPLES = 5
Clean = Callable[[str], bool]


@dataclass
class Leaks:
    """Prompts are chosen by us and documents too; a response is what the target made of a prompt."""

    documents: int = 0
    prompts: int = 0
    responses: int = 0
    texts: int = 0
    """All that were looked at."""
    examples: tuple[str, ...] = ()

    def note(self, kind: str, where: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < EXAMPLES:
            self.examples += (f"{where} ({kind.removesuffix('s')})",)


def find_leaks(recipe: Recipe, work: Path, vocabulary: Vocabulary, clean: Clean) -> Leaks:
    leaks = Leaks()
    for folder in learned_from(recipe, work):
        if (folder / "documents.jsonl").exists():
            search_documents(folder, clean, leaks)
        elif any(folder.glob("texts-*.safetensors")):
            search_texts(folder, vocabulary, clean, leaks)
    return leaks


def learned_from(recipe: Recipe, work: Path) -> Iterator[Path]:
    """Folders, each once."""
    seen: set[Path] = set()
    for entry in recipe.stages:
        given = entry.get(LEARNED.get(str(entry["stage"]), ""), [])
        for name in given if isinstance(given, list) else [given]:
            folder = resolve(str(name), {"work": work}, str(entry["stage"]))
            if folder not in seen:
                seen.add(folder)
                yield folder


def search_documents(folder: Path, clean: Clean, leaks: Leaks) -> None:
    documents = Documents(folder)
    for index in range(len(documents)):
        leaks.texts += 1
        if not clean(documents[index]):
            leaks.note("documents", f"{folder.name}: document {index}")


def search_texts(folder: Path, vocabulary: Vocabulary, clean: Clean, leaks: Leaks) -> None:
    for index, text in enumerate(read_texts(folder)):
        leaks.texts += 1
        prompt, response = text.ids[: text.prompt].tolist(), text.ids[text.prompt :].tolist()
        if not clean(vocabulary.tokenizer.decode(prompt, skip_special_tokens=False)):
            leaks.note("prompts", f"{folder.name}: text {index}")
        elif not clean(vocabulary.tokenizer.decode(response, skip_special_tokens=False)):
            leaks.note("responses", f"{folder.name}: text {index}")
