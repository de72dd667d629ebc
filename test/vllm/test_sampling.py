"""Seeded sampling on tensors: the golden vectors, a plain reference, and the softmax."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numba import njit

from outrider_vllm import noise, sampling
from outrider_vllm.cpu_noise import noise_bits, noise_bound
from outrider_vllm.noise import TOKEN_FACTOR, gumbel, mix32, position_key, rough_gumbel
from outrider_vllm.sampling import Row, choose, draw_on_cpu, draw_on_device
from outrider_vllm.settings import Sampling, read_sampling

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "cases/sampling.json").read_text())


def as_int32(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word


def test_noise_is_the_golden_noise_to_the_last_bit() -> None:
    for case in CASES["noise"]:
        keys = [position_key(int(case["seed"]), case["position"])]
        bits = noise.noise_bits(keys, torch.tensor([case["token"]], dtype=torch.int32))
        assert int(bits) & 0xFFFFFFFF == case["bits"]
        assert float(gumbel(bits)) == case["gumbel"]
    for case in CASES["edges"]:
        assert float(gumbel(torch.tensor([as_int32(case["bits"])], dtype=torch.int32))) == case["gumbel"]


def test_rough_noise_is_never_far_below_the_exact() -> None:
    bits = noise.noise_bits([position_key(3, 4)], torch.arange(200_000, dtype=torch.int32))
    edges = [0, 1, 255, 256, 257, 2**20, 2**31 - 1, 2**31, 2**32 - 256, 2**32 - 2, 2**32 - 1]
    bits = torch.cat([bits[0], torch.tensor([as_int32(word) for word in edges], dtype=torch.int32)])
    short = gumbel(bits) - rough_gumbel(bits).double()
    assert float(short.max()) < 0.05
    assert float(short[gumbel(bits) > 0].abs().max()) < 1e-5


def test_compiled_noise_is_the_same_and_its_bound_is_never_below_it() -> None:
    @njit
    def words(token: int, first: int, second: int, words: Any, bounds: Any) -> None:
        for i in range(len(words)):
            words[i] = noise_bits((token + i) * TOKEN_FACTOR, first, second)
            bounds[i] = noise_bound(words[i])

    count = 200_000
    found, bounds = np.empty(count, np.uint32), np.empty(count, np.float32)
    first, second = position_key(3, 4)
    words(7, np.uint32(first), np.uint32(second), found, bounds)
    bits = noise.noise_bits([(first, second)], torch.arange(7, 7 + count, dtype=torch.int32))[0]
    assert (torch.from_numpy(found.view(np.int32)) == bits).all()
    over = torch.from_numpy(bounds).double() - gumbel(bits)
    assert float(over.min()) > -1e-5
    # Where it decides anything it is near.
    assert float(over[gumbel(bits) > 5].max()) < 0.1


def test_draws_of_all_cases_at_once_compiled_and_on_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        Row(read_sampling({**case["sampling"]}), case["position"], tuple(case["output"])) for case in CASES["draws"]
    ]
    logits = torch.tensor([case["logits"] for case in CASES["draws"]], dtype=torch.float32)
    assert len(rows) > 90
    expected = [case["token"] for case in CASES["draws"]]
    assert choose(logits.clone(), rows).tolist() == expected
    monkeypatch.setattr(sampling, "draw_on_cpu", draw_on_device)
    assert choose(logits.clone(), rows).tolist() == expected


def reference(logits: list[float], sampling: Sampling, position: int) -> int:
    """The definition, one token after the other."""
    weight = [math.exp((x - max(logits)) / sampling.temperature) for x in logits]
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    if sampling.top_k:
        ranked = ranked[: sampling.top_k]
    if sampling.top_p < 1:
        total, mass, kept = sum(weight[i] for i in ranked), 0.0, 0
        while mass < sampling.top_p * total:
            mass += weight[ranked[kept]]
            kept += 1
        ranked = ranked[:kept]
    first, second = position_key(sampling.seed, position)

    def score(token: int) -> float:
        bits = mix32(mix32((token * 0x9E3779B1 & 0xFFFFFFFF) ^ first) ^ second)
        return logits[token] / sampling.temperature - math.log(-math.log((bits + 0.5) / 2**32))

    return max((i for i in sorted(ranked) if weight[i] >= sampling.min_p), key=score)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.1},
        {"temperature": 2.0},
        {"top_k": 50},
        {"top_k": 2000},
        {"top_p": 0.9},
        {"top_p": 0.999, "temperature": 2.0},
        {"top_p": 0.3, "temperature": 0.2},
        {"top_p": 0.9, "min_p": 0.05},
        {"min_p": 0.05},
        {"top_k": 1500, "top_p": 0.95, "min_p": 0.001, "temperature": 1.5},
    ],
)
def test_draws_over_a_large_vocabulary_are_those_of_the_definition(settings: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(1)
    # Quarters: many of the logits are equal.
    logits = (torch.randn(8, 3000, generator=generator) * 8).round() / 4
    rows = [
        Row(Sampling(**{"temperature": 0.8, "seed": 7 * n, **settings}), position=n) for n in range(logits.shape[0])
    ]
    expected = [reference(logits[n].tolist(), row.sampling, row.position) for n, row in enumerate(rows)]
    assert draw_on_cpu(logits.clone(), rows).tolist() == expected
    assert draw_on_device(logits.clone(), rows).tolist() == expected


@pytest.mark.parametrize("along", ["positions", "seeds"])
def test_draws_follow_the_softmax(along: str) -> None:
    generator = torch.Generator().manual_seed(2)
    logits, temperature, draws = torch.randn(32, generator=generator) * 2, 0.8, 20_000
    rows = [
        Row(Sampling(temperature, seed=1234 if along == "positions" else n), n if along == "positions" else 42)
        for n in range(draws)
    ]
    counts = torch.bincount(choose(logits.repeat(draws, 1), rows), minlength=32).double()
    expected = torch.softmax(logits.double() / temperature, 0) * draws
    often = expected > 5
    chi_square = float(((counts - expected) ** 2 / expected)[often].sum())
    freedom = int(often.sum()) - 1
    # Four standard deviations of a chi-square of so many degrees of freedom.
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def test_an_order_of_rows_changes_nothing() -> None:
    logits = torch.randn(9, 1000, generator=torch.Generator().manual_seed(3))
    rows = [Row(Sampling(0.7, seed=n, top_p=0.9 if n % 2 else 1.0), n) for n in range(9)]
    together = choose(logits.clone(), rows).tolist()
    assert together == [int(choose(logits[n : n + 1].clone(), [row])) for n, row in enumerate(rows)]
