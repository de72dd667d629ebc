"""The golden vectors of seeded sampling, checked by an implementation of their definition that shares nothing."""

import json
import math
from pathlib import Path
from typing import Any

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "cases/sampling.json").read_text())
WORD = 0xFFFFFFFF


def mix32(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & WORD
    return x ^ (x >> 16)


def position_key(seed: int, position: int) -> tuple[int, int]:
    low, high = seed & WORD, seed >> 32 & WORD
    first = mix32(mix32(low ^ 0x9E3779B9) ^ mix32((position * 0x85EBCA6B & WORD) ^ high))
    return first, mix32(first ^ mix32(high ^ 0xC2B2AE35) ^ position)


def noise_bits(key: tuple[int, int], token: int) -> int:
    return mix32(mix32((token * 0x9E3779B1 & WORD) ^ key[0]) ^ key[1])


def gumbel(bits: int) -> float:
    return -math.log(-math.log((bits + 0.5) / 2**32))


def draw(case: dict[str, Any]) -> int:
    s, logits = case["sampling"], list(case["logits"])
    for token in set(case["output"]):
        logits[token] -= s["presence_penalty"] + s["frequency_penalty"] * case["output"].count(token)
    for token, bias in s["logit_bias"]:
        logits[token] += bias
    if s["temperature"] == 0:
        return logits.index(max(logits))
    weight = [math.exp((x - max(logits)) / s["temperature"]) for x in logits]
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    if s["top_k"]:
        ranked = ranked[: s["top_k"]]
    if s["top_p"] < 1:
        total, mass, kept = sum(weight[i] for i in ranked), 0.0, 0
        while mass < s["top_p"] * total:
            mass += weight[ranked[kept]]
            kept += 1
        ranked = ranked[:kept]
    allowed = sorted(i for i in ranked if weight[i] >= s["min_p"])
    key = position_key(int(s["seed"]), case["position"])
    return max(allowed, key=lambda i: logits[i] / s["temperature"] + gumbel(noise_bits(key, i)))


def test_noise() -> None:
    for case in CASES["noise"]:
        bits = noise_bits(position_key(int(case["seed"]), case["position"]), case["token"])
        assert bits == case["bits"]
        assert abs(gumbel(bits) - case["gumbel"]) < 1e-9
    for case in CASES["edges"]:
        assert abs(gumbel(case["bits"]) - case["gumbel"]) < 1e-9


def test_choice_seeds() -> None:
    for case in CASES["choices"]:
        first, second = position_key(int(case["seed"]), case["index"])
        expected = int(case["seed"]) if case["index"] == 0 else first << 32 | second
        assert int(case["choice_seed"]) == expected


def test_draws() -> None:
    assert len(CASES["draws"]) > 90
    for case in CASES["draws"]:
        assert draw(case) == case["token"], case
