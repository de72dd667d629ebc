"""What training of a given shape and length needs of given machines: memory of a process, hours."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.cost import Memory, flops_per_token, memory, parameters
from trainer.hardware import GB, Hardware
from trainer.llama import LlamaConfig


@dataclass(frozen=True)
class Work:
    """Training in one stage: `batch` sequences of `sequence` tokens a step, `micro` of them at a time and process."""

    stage: str
    shape: LlamaConfig
    steps: int
    batch: int
    sequence: int
    micro: int

    @property
    def tokens(self) -> int:
        return self.steps * self.batch * self.sequence


@dataclass(frozen=True)
class Machines:
    hardware: Hardware
    devices: int
    strategy: str
    mfu: float

    @property
    def processes(self) -> int:
        return self.devices * self.hardware.processes


@dataclass(frozen=True)
class Plan:
    work: Work
    machines: Machines
    memory: Memory
    """Of one process."""
    fits: bool
    hours: float

    @property
    def tok_s(self) -> float:
        return self.work.tokens / self.hours / 3600


def plan_of(work: Work, machines: Machines) -> Plan:
    per_process = -(-work.batch // machines.processes)
    at_once = min(work.micro or per_process, per_process) * work.sequence
    needed = memory(work.shape, at_once, machines.processes, machines.strategy)
    flops = work.tokens * flops_per_token(work.shape, work.sequence)
    hours = flops / (machines.devices * machines.hardware.flops * machines.mfu) / 3600
    there = machines.hardware.memory / machines.hardware.processes
    return Plan(work, machines, needed, needed.total <= there, hours)


def lines(plan: Plan) -> list[str]:
    w, m, p = plan.work, plan.machines, parameters(plan.work.shape)
    c = w.shape
    there = m.hardware.memory / m.hardware.processes
    head = "tied" if c.tied else f"{p.head:,}"
    return [
        f"{w.stage}",
        f"  shape       {c.layers} x {c.hidden}, {c.heads} heads of {c.head_dim} ({c.kv_heads} for keys), FFN {c.ffn}, "
        f"vocabulary {c.vocab:,}, context {c.context:,}",
        f"  parameters  {p.total:,} (layers {p.layer * p.layers:,}, embedding {p.embedding:,}, head {head})",
        f"  work        {w.steps:,} steps of {w.batch:,} x {w.sequence:,} = {w.tokens:,} tokens",
        f"  hardware    {m.devices} x {m.hardware.name}, {m.processes} processes, {m.strategy}, MFU {m.mfu:.3f}",
        f"  memory      {told(plan.memory.total)} a process, of {told(there)}: weights and optimiser "
        f"{told(plan.memory.weights)}, gathered {told(plan.memory.gathered)}, activations "
        f"{told(plan.memory.activations)}, logits {told(plan.memory.logits)}"
        + ("" if plan.fits else "  TOO MUCH: lower micro-batch"),
        f"  time        {plan.hours:,.1f} hours ({plan.hours / 24:,.1f} days) at {plan.tok_s:,.0f} tokens/s",
    ]


def told(size: float) -> str:
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size * 1000 / GB:.1f} MB"
