"""What a device can do at most: multiply-adds in the type that training computes in, and memory."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from trainer.errors import TrainerError

GB = 10**9
MEASURED_SIZE = 1536
TRIED_SIZE = 256  # of products that only show which numbers are faster
"""Rows and columns of the matrix product that an unlisted device is judged by: large enough to fill a CPU's cores."""


@dataclass(frozen=True)
class Hardware:
    name: str
    flops: float
    """Peak per second, dense, bfloat16; a multiply-add counts as two."""
    memory: float
    """Bytes."""
    mfu: float
    """Share of the peak that training a model of about 100M parameters reaches, for plans."""
    processes: int = 1
    """Processes that share one card: each sees its part of the memory as a device of its own."""


KNOWN = {
    card.name: card
    for card in (
        # Of the published dates: 670B tokens in 6 days on 16 cards are 80.8k tokens/s each, 71 TFLOP/s of 362.
        Hardware("mi250", 362.1e12, 128 * GB, 0.197, processes=2),
        Hardware("mi300x", 1307.4e12, 192 * GB, 0.25),
        Hardware("a100", 312e12, 80 * GB, 0.35),
        Hardware("h100", 989.4e12, 80 * GB, 0.30),
        Hardware("h200", 989.4e12, 141 * GB, 0.30),
        Hardware("rtx4090", 165.2e12, 24 * GB, 0.40),
    )
}


def find_hardware(name: str) -> Hardware:
    """A listed card, or `here` for this machine's. TrainerError names what is listed."""
    if name == "here":
        return this_machine()
    if name not in KNOWN:
        raise TrainerError(f"hardware {name!r} is not listed; there are here, {', '.join(KNOWN)}")
    return KNOWN[name]


def this_machine() -> Hardware:
    """The first accelerator or, without one, the CPU; what is not listed is measured."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        listed = listed_in(name)
        memory = torch.cuda.get_device_properties(0).total_memory
        flops = listed.flops if listed else measured_flops(torch.device("cuda"), torch.bfloat16)
        return Hardware(name, flops, memory, listed.mfu if listed else 0.3)
    return Hardware(
        f"CPU, {torch.get_num_threads()} threads",
        cpu_flops(),
        cpu_memory(),
        0.4,
    )


def listed_in(device_name: str) -> Hardware | None:
    """`NVIDIA H100 80GB HBM3` is `h100`."""
    squeezed = device_name.lower().replace(" ", "").replace("-", "")
    return next((card for name, card in KNOWN.items() if name in squeezed), None)


def cpu_flops() -> float:
    """In float32 or bfloat16, whichever is faster: not every processor has instructions for the latter."""
    cpu = torch.device("cpu")
    faster = max((torch.float32, torch.bfloat16), key=lambda dtype: measured_flops(cpu, dtype, TRIED_SIZE))
    return measured_flops(cpu, faster)


def measured_flops(device: torch.device, dtype: torch.dtype, size: int = MEASURED_SIZE) -> float:
    """Of the fastest of some square matrix products."""
    a = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        (a @ a)[0, 0].item()
        best = min(best, time.perf_counter() - began)
    return 2 * float(size) ** 3 / best


def cpu_memory() -> float:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return 1024.0 * int(file.readline().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
