"""Stage `prompts`: what the target is asked to go on from, as a JSONL file of {domain, text, temperature}.

Three domains: `code` (the raw head of a function, as completion endpoints get it), `code_chat` (the same inside the
target's chat format, the answer opened as a block of Python) and `chat` (questions). `--openings-code` and
`--openings-chat` write what the target invents more of them from (`invention.py`); once it has (stage `generate`),
`--invented` adds those. `--held` writes the evaluation set instead, of `code` (HumanEval) and `chat` (templates and
topics that training never sees); every prompt twice, at temperature 0 and 1.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainer.decontaminate import against_evaluation
from trainer.evaluation_sets import chat_words
from trainer.exercises import WORDS, exercise
from trainer.held_prompts import held_prompts
from trainer.invention import invented, opening
from trainer.progress import Progress
from trainer.prompt_file import Prompt, write_prompts
from trainer.python_source import DocumentedFunction, documented_functions, library_files
from trainer.texts import Text, read_texts
from trainer.vocabulary import Vocabulary

DOMAINS = ("code", "code_chat", "chat")
TEMPERATURES = (0.0, 0.0, 0.7, 1.0)
IMPORTS = (
    "",
    "",
    "import re\n\n\n",
    "import os\n\n\n",
    "from typing import List\n\n\n",
    "from typing import Any\n\n\n",
)
PARSED_WHOLE = 1000
"""Code prompts from which on the whole library is parsed: fewer are drawn from a part of its files, which is faster."""
ASKS = (
    "Complete this Python function.",
    "Finish this function.",
    "Please write the body of this Python function.",
    "Implement the function below.",
)


def openings(vocabulary: Vocabulary, counts: dict[str, int], seed: int) -> list[Prompt]:
    r = random.Random(seed)
    return [
        Prompt(domain, opening(domain, vocabulary, r), 1.0) for domain, count in counts.items() for _ in range(count)
    ]


def training_prompts(
    vocabulary: Vocabulary, counts: dict[str, int], seed: int, texts: Iterable[Text] = ()
) -> list[Prompt]:
    """`counts` prompts of each domain and those that `texts` hold, shuffled; none is of the evaluation."""
    r = random.Random(seed)
    clean = against_evaluation()
    wanted = counts.get("code", 0) + counts.get("code_chat", 0)
    functions = list(documented_functions(library_files()[:: max(1, PARSED_WHOLE // max(1, wanted))]))
    words = chat_words()
    makers = {
        "code": lambda: code_head(functions, r),
        "code_chat": lambda: vocabulary.chat(r.choice(ASKS)) + "```python\n" + code_head(functions, r),
        "chat": lambda: vocabulary.chat(question(words, r)),
    }
    made: dict[str, str] = {}
    for domain, text in invented(texts, vocabulary):
        if text not in made and clean(text):
            made[text] = domain
    for domain, count in counts.items():
        wanted = len(made) + count
        for _ in range(20 * count):
            if len(made) == wanted:
                break
            text = makers[domain]()
            if text not in made and clean(text):
                made[text] = domain
    prompts = [Prompt(domain, text, r.choice(TEMPERATURES)) for text, domain in made.items()]
    r.shuffle(prompts)
    return prompts


def code_head(functions: list[DocumentedFunction], r: random.Random) -> str:
    if r.random() < 0.6:
        return exercise(r)
    return r.choice(IMPORTS) + r.choice(functions).head


def question(words: dict[str, Any], r: random.Random) -> str:
    if r.random() < 0.15:
        numbers = {"a": r.randint(2, 60), "b": r.randint(2, 60), "c": r.randint(2, 9), "w": r.choice(WORDS)}
        return str(r.choice(words["plain"])).format(**numbers)
    return str(r.choice(words["templates"])).format(r.choice(words["topics"]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--out", type=Path, required=True, help="prompts.jsonl to write")
    for domain in DOMAINS:
        parser.add_argument(f"--{domain.replace('_', '-')}", type=int, default=0, help=f"prompts of domain {domain}")
    parser.add_argument("--invented", type=Path, help="texts that the target wrote from openings")
    parser.add_argument("--openings-code", type=int, default=0, help="write openings instead, this many of code")
    parser.add_argument("--openings-chat", type=int, default=0, help="and this many of chat")
    parser.add_argument("--held", type=int, default=0, help="write the evaluation set, this many prompts per domain")
    parser.add_argument("--seed", type=int, default=0)


def main(args: argparse.Namespace, progress: Progress) -> None:
    vocabulary = Vocabulary.read(args.target)
    if args.held:
        prompts = held_prompts(vocabulary, args.held)
    elif args.openings_code or args.openings_chat:
        prompts = openings(vocabulary, {"code": args.openings_code, "chat": args.openings_chat}, args.seed)
    else:
        counts = {domain: getattr(args, domain) for domain in DOMAINS}
        prompts = training_prompts(vocabulary, counts, args.seed, read_texts(args.invented) if args.invented else ())
    write_prompts(args.out, prompts)
    progress.say(f"{len(prompts)} prompts")
