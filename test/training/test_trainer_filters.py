"""What a corpus keeps: names of licences, and near duplicates by their definition."""

from collections import Counter

import numpy as np
from test_trainer_corpus import prose

from trainer.licences import PERMISSIVE, allowed, expand, spdx
from trainer.near_duplicates import NearDuplicates
from trainer.sources import parse_source


def test_names_of_licences() -> None:
    allow = expand(["permissive"])
    assert {spdx("MIT License"), spdx("mit"), spdx("The MIT License (MIT)")} == {"MIT"}
    assert all(allowed(name, allow) for name in PERMISSIVE)
    assert allowed("GPL-3.0-only OR MIT", allow)
    assert allowed("Apache-2.0 OR (MIT AND BSD-3-Clause)", allow)
    assert not allowed("MIT AND GPL-3.0-only", allow)
    assert not allowed(None, allow)
    assert allowed("GPL-3.0-only", expand(["GPL-3.0-only"]))
    assert parse_source("/a", "mit").licence == "MIT"
    assert parse_source("stdlib", "mit").licence is None, "the library knows its own"


def jaccard(a: str, b: str) -> float:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}

    return len(runs(a) & runs(b)) / len(runs(a) | runs(b))


def test_near_duplicates_are_those_of_the_definition() -> None:
    """Against the exact share of common runs; the estimate of 128 places is good to about .1."""
    r = np.random.default_rng(0)
    base = prose(0, 400).split()
    checked = Counter()
    for trial in range(60):
        words = list(base)
        for place in r.integers(0, 400, int(r.integers(0, 40))):
            words[place] = f"changed{trial}"
        near, true = NearDuplicates(0.8), jaccard(" ".join(base), " ".join(words))
        near.add(" ".join(base))
        new = near.add(" ".join(words))
        if true > 0.9 or true < 0.6:
            checked[new] += 1
            assert new == (true < 0.8), true
    assert min(checked.values()) >= 5
    assert NearDuplicates(0.8).add("") is True
