"""Trains one model, turn by turn, as this project's trainer or as transformers.Trainer does: `worker.py ours|theirs`.

Both get the same weights, the same rows of ids, AdamW with the same dials, clipping, a cosine and bfloat16 autocast.
A turn of `--turn` steps begins with a line on standard input; its seconds, tokens and loss go to standard output.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch
from theirs import theirs
from turns import LR, STEPS, Turns, rows


def ours(args: argparse.Namespace, folder: Path) -> None:
    from trainer.checkpoint import read_model
    from trainer.gradients import loss_of_rows
    from trainer.objective import NextToken
    from trainer.parallel import Parallel
    from trainer.progress import Progress
    from trainer.schedule import Schedule
    from trainer.training import train

    turns, losses = Turns(args.turn, args.batch * args.sequence), [torch.zeros(())]
    model = read_model(args.model)
    if args.compile == "yes":
        for layer in model.layers:
            layer.compile()
    loss_of = loss_of_rows(NextToken(model), lambda step, _: rows(args, step), args.batch, 0, Parallel())

    def loss_at(step: int) -> tuple[torch.Tensor, int]:
        turns.before_step(lambda: float(losses[0]))
        loss, tokens = loss_of(step)
        losses[0] = loss.detach()
        return loss, tokens

    schedule = Schedule(steps=STEPS, warmup=20, lr=LR, lr_embeddings=LR, checkpoint_s=1e9)
    train(model, loss_at, schedule, folder, Progress("bench", silent=True))


def make(args: argparse.Namespace) -> None:
    """Writes the model that both begin with, and says what a token of its training costs."""
    from trainer.checkpoint import read_config, write_model
    from trainer.cost import flops_per_token, parameters
    from trainer.llama import Llama, LlamaConfig

    layers, hidden, heads, kv_heads, ffn = args.shape
    torch.manual_seed(0)
    model = Llama(LlamaConfig(layers, hidden, heads, kv_heads, hidden // heads, ffn, args.vocab, context=args.sequence))
    model.initialise()
    write_model(model, args.model, [0], torch.float32)
    shape = read_config(args.model)
    print(json.dumps({"flops_per_token": flops_per_token(shape, args.sequence), "parameters": parameters(shape).total}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=("make", "ours", "theirs"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shape", type=int, nargs=5, help="layers, hidden, heads, key heads, FFN")
    parser.add_argument("--vocab", type=int, required=True)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--sequence", type=int, default=512)
    parser.add_argument("--turn", type=int, default=3, help="steps a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", choices=("yes", "no"), default="no")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        {"make": lambda a, _: make(a), "ours": ours, "theirs": theirs}[args.who](args, Path(folder))


if __name__ == "__main__":
    main()
