"""The side of transformers.Trainer."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from turns import LR, STEPS, Turns, rows


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
