"""`python -m trainer COMMAND ...`: every stage of a recipe by hand, or `run` for all of them."""

from __future__ import annotations

import os
import sys

from trainer.errors import TrainerError
from trainer.progress import Progress
from trainer.stages import COMMANDS, module_of, parser_of

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 << 30), "MALLOC_TRIM_THRESHOLD_": str(32 << 30)}
"""Keeps freed blocks in the process: page faults otherwise cost about 15% of training time."""


def usage() -> str:
    return "usage: python -m trainer COMMAND ...\n\n" + "".join(f"  {n:10} {what}\n" for n, what in COMMANDS.items())


def main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(usage(), end="")
        return 0
    command = words[0]
    try:
        args = parser_of(command).parse_args(words[1:])
        import torch

        from trainer.parallel import rank

        torch.set_num_threads(args.threads)
        module_of(command).main(args, Progress(command, args.events, silent=rank() > 0))
    except TrainerError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if sys.platform == "linux" and not MALLOC.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, "-m", "trainer", *sys.argv[1:]], {**MALLOC, **os.environ})
    sys.exit(main(sys.argv[1:]))
