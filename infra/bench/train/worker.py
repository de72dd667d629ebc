"""Trains one model, turn by turn, as this project's trainer or as transformers.Trainer does: `worker.py ours|theirs`.

Both get the same weights, the same rows of ids, AdamW with the same dials, clipping, a cosine and bfloat16 autocast.
A turn of `--turn` steps begins with a line on standard input; its seconds, tokens and loss go to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from trainer.hardware import measured_flops

STEPS = 100_000
"""More than are ever done: the standard input ends first."""
LR = 1e-3


class Turns:
    """Between two turns the process waits; the waiting is not counted."""

    def __init__(self, steps: int, tokens: int) -> None:
        self.steps, self.tokens = steps, tokens
        self.done = 0
        self.began = 0.0

    def before_step(self, loss: Callable[[], float]) -> None:
        if self.done % self.steps == 0:
            if self.done:
                self.report(time.perf_counter() - self.began, loss())
            if not sys.stdin.readline():
                sys.stdout.flush()
                os._exit(0)
            self.began = time.perf_counter()
        self.done += 1

    def report(self, seconds: float, loss: float) -> None:
        """The peak is measured beside each turn, so that what else the machine does strikes both alike."""
        peak = measured_flops(torch.device("cpu"), torch.bfloat16)
        told = {"seconds": seconds, "tokens": self.steps * self.tokens, "loss": loss, "peak_flops": peak}
        print(json.dumps(told), flush=True)


def rows(args: argparse.Namespace, number: int) -> torch.Tensor:
    """Ids [batch, sequence + 1] of step `number`: a walk through the vocabulary, which can be learnt."""
    r = torch.Generator().manual_seed(number)
    start = torch.randint(0, args.vocab, (args.batch, 1), generator=r)
    return (start + torch.randint(0, 7, (args.batch, args.sequence + 1), generator=r).cumsum(1)) % args.vocab


def ours(args: argparse.Namespace, folder: Path) -> None:
    from trainer import training
    from trainer.checkpoint import read_model
    from trainer.gradients import loss_of_rows
    from trainer.objective import NextToken
    from trainer.parallel import Parallel
    from trainer.progress import Progress

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

    schedule = training.Schedule(steps=STEPS, warmup=20, lr=LR, lr_embeddings=LR, checkpoint_s=1e9)
    training.train(model, loss_at, schedule, folder, Progress("bench", silent=True))


def theirs(args: argparse.Namespace, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    turns = Turns(args.turn, args.batch * args.sequence)

    class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return STEPS * args.batch

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            step, row = divmod(index, args.batch)
            ids = made[step] if step in made else made.setdefault(step, rows(args, step))
            made.pop(step - 1, None)
            return {"input_ids": ids[row, :-1], "labels": ids[row, :-1]}

    class InOrder(Trainer):  # type: ignore[misc]
        """The rows in the order that the other side has them."""

        def _get_train_sampler(self, *_: object) -> torch.utils.data.Sampler[int]:
            return torch.utils.data.SequentialSampler(self.train_dataset)

        def compute_loss(self, *given: object, **named: object) -> torch.Tensor:
            found = super().compute_loss(*given, **named)
            seen[0] = (found[0] if isinstance(found, tuple) else found).detach()
            return found

    class Waiting(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: object, **__: object) -> None:
            turns.before_step(lambda: float(seen[0]))

    made: dict[int, torch.Tensor] = {}
    seen = [torch.zeros(())]
    settings = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=args.batch,
        max_steps=STEPS,
        learning_rate=LR,
        weight_decay=0.1,
        adam_beta1=0.9,
        adam_beta2=0.95,
        max_grad_norm=1.0,
        lr_scheduler_type="cosine",
        warmup_steps=20,
        optim="adamw_torch_fused",
        bf16=True,
        use_cpu=True,
        torch_compile=args.compile == "yes",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa")
    InOrder(model=model, args=settings, train_dataset=Rows(), callbacks=[Waiting()]).train()


def make(args: argparse.Namespace) -> None:
    """Writes the model that both begin with, and says what a token of its training costs."""
    from trainer.checkpoint import read_config, write_model
    from trainer.cost import flops_per_token, parameters
    from trainer.llama import Llama, LlamaConfig

    layers, hidden, heads, kv_heads, ffn = args.shape
    torch.manual_seed(0)
    model = Llama(
        LlamaConfig(layers, hidden, heads, kv_heads, hidden // heads, ffn, args.vocab, context=args.sequence)
    )
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
