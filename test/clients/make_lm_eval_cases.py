"""Scores continuations with transformers in fp32: `python make_lm_eval_cases.py MODEL_FOLDER > ../cases/lm-eval.json`.

Run it with the trainer's Python; MODEL_FOLDER is infra/models/tiny/target.
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PAIRS = (
    ("import os\nimport", " sys"),
    ("def add(a, b):\n    return", " a + b"),
    ("def add(a, b):\n    return", " self"),
    ("for i in", " range"),
    ("class A:\n    def", " __init__"),
    ("class A:\n    def", " zebra"),
    ("if x is", " None"),
    ("if x is", " the queue"),
)


def main(folder: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    cases = [score(model, tokenizer, context, continuation) for context, continuation in PAIRS]
    print(json.dumps(cases, indent=1))


@torch.no_grad()
def score(model: torch.nn.Module, tokenizer: object, context: str, continuation: str) -> dict[str, object]:
    ids = tokenizer(context + continuation, add_special_tokens=False).input_ids
    begin = len(tokenizer(context, add_special_tokens=False).input_ids)
    logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)[begin - 1 : -1]
    target = torch.tensor(ids[begin:])
    return {
        "context": context,
        "continuation": continuation,
        "logprob": round(logprobs.gather(1, target[:, None]).sum().item(), 4),
        "greedy": bool((logprobs.argmax(-1) == target).all()),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
