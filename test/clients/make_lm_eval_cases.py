"""Scores continuations with transformers in fp32: `python make_lm_eval_cases.py MODEL [CASES] > ../cases/lm-eval.json`.

MODEL is a folder (infra/models/tiny/target for the cases here) or a GGUF file; CASES is a JSON list of objects with
`context` and `continuation`. Run it with the trainer's Python.
"""

import json
import sys
from pathlib import Path

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


def main(model: str, cases: str | None = None) -> None:
    path = Path(model)
    source = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    folder = path.parent if source else path
    tokenizer = AutoTokenizer.from_pretrained(folder, **source)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **source).eval()
    pairs = [(one["context"], one["continuation"]) for one in json.loads(Path(cases).read_text())] if cases else PAIRS
    scores = [score(network, tokenizer, context, continuation) for context, continuation in pairs]
    print(json.dumps(scores, indent=1))


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
