"""What a draft would have said of given texts: the edge's window, the noise it shares, the probability in common."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from trainer.acceptance import seen
from trainer.errors import TrainerError
from trainer.foresight import Written, measure, read_written
from trainer.llama import Llama, LlamaConfig
from trainer.noise import gumbel
from trainer.texts import Text
from trainer.window import EDGE_WINDOW

ROOT = Path(__file__).resolve().parents[2]
CASES = json.loads((ROOT / "test/cases/sampling.json").read_text())
SHAPE = LlamaConfig(2, 64, 2, 1, 32, 96, vocab=48, context=400, tied=False)


@pytest.fixture(scope="module")
def draft() -> Llama:
    torch.manual_seed(0)
    model = Llama(SHAPE)
    for name, weight in model.named_parameters():
        if weight.dim() == 2:  # Large, so that it has favourites and looks far back.
            torch.nn.init.normal_(weight, std=0.3 if "head" in name else 0.15)
    return model.eval()


def continued(draft: Llama, prompt: list[int], count: int, window: int, noise: int | None = None) -> list[int]:
    """What the draft itself writes, having read the newest `window` ids of the prompt."""
    ids = list(prompt)
    for _ in range(count):
        with torch.inference_mode():
            logits = draft(torch.tensor([ids[max(0, len(prompt) - window) :]]))[0, -1].double().numpy()
        if noise is not None:
            logits = logits + gumbel(noise, np.array([len(ids)]), np.arange(48))[0]
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


def test_the_noise_is_that_of_the_contract() -> None:
    for case in CASES["noise"]:
        found = gumbel(int(case["seed"]), np.array([case["position"]]), np.array([case["token"]]))
        assert abs(found[0, 0] - case["gumbel"]) < 1e-5


def test_the_window_is_the_edges() -> None:
    engine = (ROOT / "edge/drafting/model/engine.ts").read_text()
    assert re.search(r"^  window: (\d+),$", engine, re.M).group(1) == str(EDGE_WINDOW)


def test_of_a_long_prompt_the_newest_ids_are_read(draft: Llama) -> None:
    prompt = torch.randint(0, 48, (300,), generator=torch.Generator().manual_seed(1)).tolist()
    for window in (EDGE_WINDOW, 20):
        text = Written("code", prompt, continued(draft, prompt, 12, window))
        assert measure(draft, [text], window)[0]["matches"] == 1
    assert measure(draft, [text], EDGE_WINDOW)[0]["matches"] < 1


def test_a_text_as_evaluate_sees_it() -> None:
    ids = np.arange(305, dtype=np.int32)
    text = Text("code", 0.0, 300, ids, ids[:5, None], np.zeros((5, 1), np.float16), np.zeros(5, np.float32))
    assert (seen(text, 256).prompt, seen(text, 256).ids.tolist()) == (256, list(range(44, 305)))
    assert len(seen(text, 0).ids) == 305
    assert len(seen(text, 300).ids) == 305


def test_a_drawn_text(draft: Llama) -> None:
    """The draft's own draws are foreseen; its own shares have all in common with it."""
    prompt = [3, 1, 4, 1, 5]
    ids = continued(draft, prompt, 10, 256, noise=7)
    assert ids != continued(draft, prompt, 10, 256)
    with torch.inference_mode():
        shares = draft(torch.tensor([[*prompt, *ids][:-1]]))[0, 4:].log_softmax(-1)
    top = [[(id, float(logprob)) for id, logprob in enumerate(row)] for row in shares]
    row = measure(draft, [Written("chat", prompt, ids, "7", top)], 256)[0]
    assert (row["temperature"], row["matches"], row["accepted_len_4"]) == (1, 1, 4)
    assert abs(row["one_minus_tv"] - 1) < 1e-5
    other = measure(draft, [Written("chat", prompt, ids, "8", [listed[:3] for listed in top])], 256)[0]
    assert other["matches"] < 1
    assert other["one_minus_tv"] < 1


@pytest.mark.parametrize(
    "line", ['{"domain": "code"}', "[]", '{"domain": "x", "prompt": [1], "ids": [2], "seed": "1"}']
)
def test_what_is_no_text(line: str, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text(line)
    with pytest.raises(TrainerError, match=r"texts\.jsonl"):
        read_written(tmp_path / "texts.jsonl")
