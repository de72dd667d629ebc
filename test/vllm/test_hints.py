"""Hints by path and branch: the table that the scheduler on Node holds to as well."""

import json
from pathlib import Path
from typing import Any

import pytest

from outrider_vllm.hints import MAX_WAITING_BRANCHES, MAX_WAITING_IDS, Hint, HintedBranch, HintStore

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "cases/hints.json").read_text())


def read(hint: dict[str, Any]) -> Hint:
    branches = tuple(
        HintedBranch(branch["at"], branch.get("from", 0), tuple(branch["ids"])) for branch in hint["branches"]
    )
    return Hint(hint["path"], hint["at"], tuple(hint["ids"]), hint["source"], branches)


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_what_is_foretold_after_each_event(case: dict[str, Any]) -> None:
    store, text = HintStore(), list(case["prompt"])
    for event in case["events"]:
        if "hint" in event:
            store.add(read(event["hint"]), text)
        else:
            store.advance(len(text), event["id"])
            text.append(event["id"])
        assert store.next(len(text), 12) == [tuple(pair) for pair in event["next"]]


def test_what_waits_is_bounded() -> None:
    store = HintStore()
    for n in range(2000):
        branches = tuple(HintedBranch(3 + k, 0, (n % 7, k)) for k in range(8))
        store.add(Hint(0, 3 + n, (1,) * 64, "model", branches), [0, 1, 2])
    assert len(store._line) <= MAX_WAITING_IDS
    assert len(store._branches) <= MAX_WAITING_BRANCHES
