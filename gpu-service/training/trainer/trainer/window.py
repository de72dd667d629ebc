"""What the edge's draft reads of a long prompt: its newest ids, as if the text began with them.

Acceptance is measured with the same view, or it would promise what the edge does not keep (`edge/drafting/model`).
An answer that grows far beyond the window makes the edge slide on; no answer that is measured here is so long.
"""

from __future__ import annotations

import argparse

EDGE_WINDOW = 256
"""Ids; `DEFAULT_OPTIONS.window` of `edge/drafting/model/engine.ts`."""


def unread(prompt: int, window: int) -> int:
    """How many of a prompt's first ids stand outside of the window (0: it holds everything)."""
    return max(0, prompt - window) if window else 0


def add_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--window",
        type=int,
        default=EDGE_WINDOW,
        help=f"newest ids of a prompt that the draft reads; 0: all (default: {EDGE_WINDOW}, as at the edge)",
    )
