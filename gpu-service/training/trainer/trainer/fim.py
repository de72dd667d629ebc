"""Fill in the middle: a text cut in three and told as prefix, suffix, middle (Bavarian et al. 2022, "PSM")."""

from __future__ import annotations

import random

FIM_NAMES = ["<fim_prefix>", "<fim_middle>", "<fim_suffix>"]


def fill_in_the_middle(text: str, r: random.Random) -> str:
    """Two cuts anywhere, also inside words, as editors make them."""
    prefix, middle, suffix = FIM_NAMES
    first, second = sorted((r.randrange(len(text) + 1), r.randrange(len(text) + 1)))
    return f"{prefix}{text[:first]}{suffix}{text[second:]}{middle}{text[first:second]}"
