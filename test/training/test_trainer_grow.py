"""A draft whose vocabulary is the beginning of its target's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_trainer_llama import SMALL, random_model

from trainer.checkpoint import read_model, write_model
from trainer.errors import TrainerError
from trainer.grow import add_arguments, grown, main
from trainer.progress import Progress
from trainer.recipe import RaisingParser
from trainer.tokenize import train_tokenizer, write_tokenizer


@pytest.mark.parametrize("tied", [True, False])
def test_known_ids_keep_their_logits(tied: bool) -> None:
    draft = random_model(replace(SMALL, tied=tied))
    larger = grown(draft, 113)
    ids = torch.arange(20)[None]
    with torch.inference_mode():
        assert torch.equal(larger(ids)[..., :97], draft(ids))
        assert larger(ids).shape[-1] == 113
        assert larger(torch.tensor([[112]])).isfinite().all()
    with pytest.raises(TrainerError, match="knows 97 ids, its target only 50"):
        grown(draft, 50)


def folder(at: Path, vocab: int, more: list[str]) -> Path:
    tokenizer = train_tokenizer(["a small text"], 280)
    tokenizer.add_tokens(more)
    at.mkdir()
    write_tokenizer(at, tokenizer)
    write_model(random_model(replace(SMALL, vocab=vocab)), at, [0], torch.float32)
    return at


def test_the_stage_demands_a_beginning(tmp_path: Path) -> None:
    size = train_tokenizer(["a small text"], 280).get_vocab_size()
    target = folder(tmp_path / "target", size + 3, ["<PRE>", "<MID>", "<SUF>"])
    draft = folder(tmp_path / "draft", size, [])
    other = folder(tmp_path / "other", size + 1, ["<another>"])
    parser = RaisingParser()
    add_arguments(parser)
    words = ["--target", str(target), "--out", str(tmp_path / "out"), "--model"]
    main(parser.parse_args([*words, str(draft)]), Progress("grow"))
    assert read_model(tmp_path / "out").c.vocab == size + 3
    assert (tmp_path / "out/tokenizer.json").read_bytes() == (target / "tokenizer.json").read_bytes()
    with pytest.raises(TrainerError, match=f"id {size} is '<another>' to the draft and '<PRE>' to the target"):
        main(parser.parse_args([*words, str(other)]), Progress("grow"))
