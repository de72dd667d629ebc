"""Runs programs that nobody has read: in a process of their own, without network, with limits on time and memory."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("sandboxed.py")
MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    seconds: int = 5
    """Of the processor."""
    memory_bytes: int = 512 * MIB
    grace_s: float = 5.0
    """By the clock, beyond the processor's time: a program that sleeps uses none, and starting takes some."""


@dataclass(frozen=True)
class Outcome:
    passed: bool
    reason: str
    """The last line of what went wrong; `passed` where nothing did."""


def run_program(program: str, limits: Limits) -> Outcome:
    """Passed means that the program came to its end: one that leaves early has not."""
    word = secrets.token_hex(16)
    task = {"program": program, "word": word, "seconds": limits.seconds, "memory_bytes": limits.memory_bytes}
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-X", "utf8", str(LAUNCHER)],
                input=json.dumps(task),
                capture_output=True,
                text=True,
                errors="replace",
                cwd=empty,
                env={},
                start_new_session=True,
                timeout=limits.seconds + limits.grace_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(False, "out of time")
    if done.returncode == 0 and done.stdout == word:
        return Outcome(True, "passed")
    if done.returncode < 0:
        return Outcome(False, f"ended by signal {-done.returncode}")
    lines = done.stderr.strip().splitlines()
    return Outcome(False, lines[-1] if lines else "ended before its end")
