"""Tokenizers, fill in the middle, prompts, and what is kept out of training."""

import random
from itertools import pairwise

import numpy as np
import pytest

from trainer.decontaminate import against_evaluation
from trainer.evaluation_sets import humaneval
from trainer.exercise_tasks import TASKS
from trainer.exercises import exercise
from trainer.fim import FIM_NAMES, fill_in_the_middle
from trainer.finetune import IGNORED, pieces
from trainer.held_prompts import held_prompts
from trainer.invention import invented, opening
from trainer.prompt_file import Prompt, read_prompts, write_prompts
from trainer.prompts import openings, training_prompts
from trainer.texts import Text, read_texts, shard_path, write_shard
from trainer.tokenize import train_tokenizer, write_tokenizer
from trainer.vocabulary import Vocabulary

SOURCE = 'def add(a, b):\n    """Add two numbers."""\n    return a + b\n' * 20


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, train_tokenizer([SOURCE], 320))
    return Vocabulary.read(folder)


@pytest.mark.parametrize("text", [SOURCE, "  tabs\tand\r\nlines\n", "Grüße, 日本語, 😀\u0000\u200d", "a <|im_end|> b"])
def test_any_text_comes_back(vocabulary: Vocabulary, text: str) -> None:
    ids = vocabulary.encode(text)
    assert vocabulary.tokenizer.decode(ids, skip_special_tokens=False) == text
    assert max(ids) < vocabulary.size <= 320


def test_special_tokens_are_single_ids(vocabulary: Vocabulary) -> None:
    assert vocabulary.special_ids == list(range(6))
    assert vocabulary.stop_ids == [0, 2]
    assert [vocabulary.encode(name) for name in FIM_NAMES] == [[3], [4], [5]]
    asked = vocabulary.chat("Hi")
    assert asked == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_fill_in_the_middle_tells_the_whole_text() -> None:
    r = random.Random(0)
    for _ in range(50):
        told = fill_in_the_middle("abcdefgh", r)
        prefix, rest = told.removeprefix("<fim_prefix>").split("<fim_suffix>")
        suffix, middle = rest.split("<fim_middle>")
        assert prefix + middle + suffix == "abcdefgh"


def test_finetuning_pieces(vocabulary: Vocabulary) -> None:
    rows_at = pieces([SOURCE], vocabulary, 48, 0.5, 0)
    ids = rows_at(0, range(64))
    assert ids.shape == (64, 49)
    told = (ids[:, 0] == 3).sum()
    assert 16 < told < 48
    assert (rows_at(0, range(64)) == ids).all()
    assert (rows_at(0, range(20, 30)) == ids[20:30]).all(), "a row is the same whoever draws it"
    assert not (rows_at(1, range(64)) == ids).all()
    padded = ids == IGNORED
    assert (padded[:, 1:] >= padded[:, :-1]).all(), "padding stands at the end only"


def test_exercises_answer_their_own_examples() -> None:
    """Every example of an exercise is what its task computes; so the table above it holds no slip."""
    by_name = {name: task for task in TASKS for name in task.names}
    assert len(by_name) == sum(len(task.names) for task in TASKS)
    r, checked = random.Random(1), 0
    for _ in range(400):
        lines = exercise(r).split("\n")
        for line, answer in pairwise(lines):
            if ">>> " in line:
                name, given = line.strip()[4:-1].split("(", 1)
                assert repr(by_name[name].answer(eval(given))) == answer.strip()
                checked += 1
    assert checked > 300


def test_humaneval_stays_out(vocabulary: Vocabulary) -> None:
    problems = humaneval()
    assert len(problems) == 164
    clean = against_evaluation()
    assert not any(clean(problem["prompt"]) for problem in problems)
    assert clean("def add(a, b):\n    return a + b\n")
    prompts = training_prompts(vocabulary, {"code": 60, "code_chat": 30, "chat": 60}, seed=0)
    assert sorted({prompt.domain for prompt in prompts}) == ["chat", "code", "code_chat"]
    assert len({prompt.text for prompt in prompts}) == 150
    assert all(clean(prompt.text) for prompt in prompts)
    held = held_prompts(vocabulary, 10)
    assert {(prompt.domain, prompt.temperature) for prompt in held} >= {("code", 0.0), ("code", 1.0), ("chat", 0.0)}
    assert not {prompt.text for prompt in held} & {prompt.text for prompt in prompts}


@pytest.mark.parametrize(
    ("domain", "written", "wanted"),
    [
        ("chat", "Why is it dark?<|im_end|>", "<|im_start|>user\nWhy is it dark?<|im_end|>\n<|im_start|>assistant\n"),
        ("chat", "Why is it dark", None),
        ("chat", "  <|im_end|>", None),
        ("code", 'odd(n: int) -> bool:\n    """Tell whether a number is odd."""\n    return n % 2',
         'def odd(n: int) -> bool:\n    """Tell whether a number is odd."""\n'),
        ("code", 'evens(n: List[int]):\n    """Take the even ones of them.\n    """\n',
         'from typing import List\n\n\ndef evens(n: List[int]):\n    """Take the even ones of them.\n    """\n'),
        ("code", "odd(n):\n    return n % 2\n", None),
        ("code", 'a():\n    pass\n\ndef odd(n):\n    """Tell whether a number is odd, or not."""\n', None),
    ],
)  # fmt: skip
def test_what_the_target_invents(vocabulary: Vocabulary, domain: str, written: str, wanted: str | None) -> None:
    opened = vocabulary.encode(
        opening("chat", vocabulary, random.Random(0)) if domain == "chat" else "def one():\n    pass\n\n\ndef "
    )
    ids = np.array([*opened, *vocabulary.encode(written)], np.int32)
    rows = len(ids) - len(opened)
    text = Text(domain, 1.0, len(opened), ids, np.zeros((rows, 1)), np.zeros((rows, 1), np.float16), np.zeros(rows))
    assert list(invented([text], vocabulary)) == ([] if wanted is None else [(domain, wanted)])


def test_prompts_come_back_whatever_they_hold(vocabulary: Vocabulary, tmp_path) -> None:
    prompts = [Prompt("chat", "one\u2028two\x85three\r\nfour", 0.7), *openings(vocabulary, {"code": 3, "chat": 1}, 0)]
    write_prompts(tmp_path / "prompts.jsonl", prompts)
    assert read_prompts(tmp_path / "prompts.jsonl") == prompts
    assert all(prompt.text.rpartition("\n")[2].startswith("def ") for prompt in prompts[1:4])


def test_texts_come_back_from_their_shards(tmp_path) -> None:
    r = np.random.default_rng(0)
    texts = [
        Text(
            domain=domain,
            temperature=0.5,
            prompt=3,
            ids=r.integers(0, 900, 3 + length).astype(np.int32),
            top_ids=r.integers(0, 900, (length, 4)).astype(np.int32),
            top_logits=r.normal(size=(length, 4)).astype(np.float16),
            logsumexp=r.normal(size=length).astype(np.float32),
        )
        for domain, length in (("code", 5), ("chat", 1), ("code", 9))
    ]
    write_shard(shard_path(tmp_path, 0), texts[:2])
    write_shard(shard_path(tmp_path, 1), texts[2:])
    for mine, theirs in zip(read_texts(tmp_path), texts, strict=True):
        assert (mine.domain, mine.temperature, mine.prompt) == (theirs.domain, theirs.temperature, theirs.prompt)
        for name in ("ids", "top_ids", "top_logits", "logsumexp"):
            assert np.array_equal(getattr(mine, name), getattr(theirs, name))
