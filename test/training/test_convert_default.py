"""The default target, from the published file, against transformers reading the same file.

Needs the file that `npm run models -- default` keeps; without it these tests are skipped, and say so.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from processors import single_rows_are_exact
from slots_runner import SlotsRunner
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from checkpoints.gguf_file import read_gguf
from checkpoints.target_folder import write_target

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("OUTRIDER_DATA", ROOT / ".outrider"))
GGUF = DATA / "cache/gguf/SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPTS: list[str] = json.loads((ROOT / "test/cases/convert-prompts.json").read_text())
NEW_IDS = 24
SLOTS = 4

pytestmark = pytest.mark.skipif(
    not GGUF.is_file(),
    reason=f"THE DEFAULT TARGET WAS NOT CHECKED AGAINST TRANSFORMERS: {GGUF} is missing; npm run models -- default",
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    write_target(read_gguf(GGUF), models, "default", ["fp32", "int8", "int4", "w8a8"], lambda _: None)
    return models / "default"


@pytest.fixture(scope="module")
def tokenizer(target: Path) -> Tokenizer:
    return Tokenizer.from_file(str(target / "tokenizer.json"))


@pytest.fixture(scope="module")
def reference() -> Any:
    return AutoModelForCausalLM.from_pretrained(GGUF.parent, gguf_file=GGUF.name, dtype=torch.float32).eval()


def _reference_logits(reference: Any, ids: list[int]) -> npt.NDArray[np.float32]:
    with torch.no_grad():
        logits: npt.NDArray[np.float32] = reference(torch.tensor([ids])).logits[0].numpy()
    return logits


def _greedy(runner: SlotsRunner, prompts: list[list[int]]) -> list[list[int]]:
    """NEW_IDS ids after each prompt, all sequences in one batch; an end of text does not stop it."""
    caches = [runner.empty() for _ in prompts]
    texts, new = [list(prompt) for prompt in prompts], prompts
    for _ in range(NEW_IDS):
        new = [[int(logits[-1].argmax())] for logits in runner.step(caches, new)]
        for text, ids in zip(texts, new, strict=True):
            text += ids
    return texts


def test_logits_and_greedy_text_are_those_of_transformers(target: Path, tokenizer: Tokenizer, reference: Any) -> None:
    """At each position transformers, given our own text so far, must choose as we did: the same as equal texts."""
    assert len(PROMPTS) == 20
    runner, alone = SlotsRunner(target, "fp32", SLOTS), SlotsRunner(target, "fp32")
    for at in range(0, len(PROMPTS), SLOTS):
        prompts = [tokenizer.encode(text).ids for text in PROMPTS[at : at + SLOTS]]
        for prompt, text in zip(prompts, _greedy(runner, prompts), strict=True):
            expected = _reference_logits(reference, text)
            logits = alone.step([alone.empty()], [text])[0]
            np.testing.assert_allclose(logits, expected, atol=1e-3, rtol=0)
            chosen = expected[len(prompt) - 1 : -1].argmax(axis=-1)
            assert text[len(prompt) :] == chosen.tolist(), tokenizer.decode(text)


def test_a_long_text_far_into_the_context(target: Path, tokenizer: Tokenizer, reference: Any) -> None:
    ids = tokenizer.encode((ROOT / "LICENSE").read_text()).ids[:1500]
    assert len(ids) == 1500
    runner = SlotsRunner(target, "fp32")
    cache = runner.empty()
    logits = np.concatenate([runner.step([cache], [ids[i : i + 500]])[0][-20:] for i in (0, 500, 1000)])
    expected = _reference_logits(reference, ids)
    np.testing.assert_allclose(logits, np.concatenate([expected[i + 480 : i + 500] for i in (0, 500, 1000)]), atol=1e-3)


@pytest.mark.parametrize("weight_format", ["int8", "int4", "w8a8"])
def test_quantised_rows_do_not_depend_on_their_batch(target: Path, tokenizer: Tokenizer, weight_format: str) -> None:
    ids = tokenizer.encode(PROMPTS[1] + PROMPTS[3]).ids
    one, four = SlotsRunner(target, weight_format), SlotsRunner(target, weight_format, SLOTS)
    whole = one.step([one.empty()], [ids])[0]
    cache = one.empty()
    singly = np.concatenate([one.step([cache], [[token]])[0] for token in ids])
    caches = [four.empty() for _ in range(SLOTS)]
    beside = four.step(caches, [ids[:3], ids, ids[:1], ids[:9]])[1]
    if single_rows_are_exact(weight_format):
        np.testing.assert_array_equal(singly, whole)
    np.testing.assert_array_equal(beside, whole)


def test_the_tokenizer_is_that_of_transformers(tokenizer: Tokenizer) -> None:
    """Transformers leaves out that this family splits digits off first; with that put back, all ids must agree."""
    theirs = AutoTokenizer.from_pretrained(GGUF.parent, gguf_file=GGUF.name).backend_tokenizer
    digits = pre_tokenizers.Digits(individual_digits=True)
    theirs.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    texts = [
        *PROMPTS,
        "x = 12345 + 3.14e-10  # two  spaces  9\n\t\treturn\r\n\r\n   ",
        "héllo 😀 👩‍👩‍👧 naïve ﬁne 🇩🇪",
        "你好,世界。2024年 日本語 한국어 ٣٤ ²³ Ⅷ",
        "\x00\x01\x7f\u200b\u00a0\u3000\ufeff",
        "<|im_start|>user\nhi<|im_end|><|endoftext|> <file_sep> <|im_start |>",
        "I'm we're 'S it'll THEY'VE",
        (ROOT / "test/training/test_convert_default.py").read_text(),
    ]
    for text in texts:
        ids = tokenizer.encode(text).ids
        assert ids == theirs.encode(text, add_special_tokens=False).ids, text
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_the_chat_template_is_the_files_own(target: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(GGUF.parent, gguf_file=GGUF.name).chat_template
    assert (target / "chat_template.jinja").read_text() == theirs
