"""Where a stage computes: on the GPU where there is one, else on the CPU; named by `--device`."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from trainer.errors import TrainerError


def add_device(parser: argparse.ArgumentParser) -> None:
    choices = ("auto", "cpu", "cuda")
    parser.add_argument("--device", choices=choices, default="auto", help="auto: the GPU where there is one")


def device_of(choice: str) -> torch.device:
    """The device of a choice. TrainerError where a GPU is asked for and PyTorch sees none."""
    if choice == "cuda" and not torch.cuda.is_available():
        raise TrainerError("--device cuda: PyTorch sees no GPU here (a CPU build, or no driver)")
    device = torch.device("cuda" if choice != "cpu" and torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return device


def writing_type(device: torch.device) -> torch.dtype:
    """What a target computes in while it writes.

    float16 keeps its logits ten times closer to float32's than bfloat16 does, and only a GPU is fast at it.
    """
    return torch.float16 if device.type == "cuda" else torch.bfloat16


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; to a GPU through pinned memory, so that nobody waits for the copy."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
