"""Captured requests become texts of the target with its logits; a draft goes on from a release's image."""

import gzip
import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from trainer import compare, traffic, unpack
from trainer.captured import Request, read_requests, split
from trainer.checkpoint import read_model
from trainer.errors import TrainerError
from trainer.evaluate import ACCEPTANCE_FILE
from trainer.image import read_image
from trainer.progress import Progress
from trainer.texts import read_texts

TINY = Path(__file__).resolve().parents[2] / "infra/models/tiny"
VOCAB = 1024


def captured(folder: Path, lines: list[dict], batch: str = "subject/2026-01-01-a") -> Path:
    path = folder / f"{batch}.ndjson.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return folder


def line(time: str, prompt: list[int], output: list[int], **change: object) -> dict:
    sampling = {"temperature": 0.5}
    return {"time": time, "target": "tiny", "prompt": prompt, "output": output, "sampling": sampling, **change}


def requests(*times: str) -> list[Request]:
    return [Request(time, (index, 1), (2,), 0.0) for index, time in enumerate(times)]


def test_requests_are_read_once_each_oldest_first(tmp_path: Path) -> None:
    captured(tmp_path, [line("2026-01-02", [1], [2]), line("2026-01-03", [1], [2]), line("2026-01-01", [5], [6, 7])])
    captured(tmp_path, [line("2026-01-02", [8], []), line("2026-01-02", [9], [9], target="other")], "other/b")
    found = read_requests(tmp_path, "tiny", VOCAB)
    assert [(r.time, r.prompt, r.output, r.temperature) for r in found] == [
        ("2026-01-01", (5,), (6, 7), 0.5),
        ("2026-01-02", (1,), (2,), 0.5),
    ]


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([line("2026-01-01", [VOCAB], [1])], "an id is not one of the target's 1,024"),
        ([{"target": "tiny"}], "no batch of captured requests"),
    ],
)
def test_what_is_wrong_with_a_batch_is_said(lines: list[dict], named: str, tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=named):
        read_requests(captured(tmp_path, lines), "tiny", VOCAB)


@pytest.mark.parametrize(
    ("days", "learnt"),
    [
        ("1111111111", 8),
        ("1111111222", 7),
        ("1111111112", 9),
        ("1222222222", 8),
        ("1122334455", 8),
    ],
)
def test_later_days_judge_where_that_leaves_enough_to_learn_from(days: str, learnt: int) -> None:
    learn, held = split(requests(*(f"2026-01-0{day}T12:00" for day in days)), 0.2)
    assert (len(learn), len(held)) == (learnt, 10 - learnt)
    assert max(r.time for r in learn) <= min(r.time for r in held)


def test_new_prompts_judge_where_there_are_any() -> None:
    old, new = Request("1", (1,), (2,), 0.0), Request("2", (9,), (2,), 0.0)
    again = Request("2", (1,), (3,), 0.0)
    assert split([old, old, again, new], 0.5) == ([old, old], [new])
    assert split([old, old, again, again], 0.5) == ([old, old], [again, again])


def test_from_requests_to_a_release_that_tells_before_and_after(tmp_path: Path) -> None:
    progress = Progress("test", None)
    written = [list(range(20, 40 + n)) for n in range(10)]
    lines = [line(f"2026-01-0{1 + n // 5}", ids[:8], ids[8:]) for n, ids in enumerate(written)]
    captured(tmp_path / "captured", lines)
    places = {"target": TINY / "target", "device": "cpu"}
    traffic.main(
        Namespace(
            **places,
            captured=tmp_path / "captured",
            target_id="tiny",
            out=tmp_path / "texts",
            held_out=tmp_path / "held",
            held_share=0.4,
            limit=0,
            tokens=64,
            top=5,
        ),
        progress,
    )
    learn, held = read_texts(tmp_path / "texts"), read_texts(tmp_path / "held")
    assert sorted(len(text.ids) for text in learn + held) == [len(ids) for ids in written]
    assert (len(learn), len(held)) == (5, 5)
    assert json.loads((tmp_path / "held/manifest.json").read_text())["from"] == "2026-01-02"
    target = read_model(TINY / "target", torch.bfloat16)
    for text in held:
        logits = target(torch.from_numpy(text.ids).long()[None])[0, text.prompt - 1 : -1].float()
        # Rows of a batch are summed in another order; a clear winner stays one.
        best = logits.topk(2, -1)
        clear = best.values[:, 0] - best.values[:, 1] > 0.2
        assert clear.any()
        assert torch.equal(torch.from_numpy(text.top_ids[:, 0]).long()[clear], best.indices[clear, 0])
        assert torch.allclose(torch.from_numpy(text.logsumexp), logits.logsumexp(-1), atol=0.2)

    unpack.main(Namespace(release=TINY / "draft", target=TINY / "target", out=tmp_path / "parent"), progress)
    image = read_image(TINY / "draft/model.draft").state_dict()
    assert all(
        torch.equal(weight, image[name]) for name, weight in read_model(tmp_path / "parent").state_dict().items()
    )

    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / ACCEPTANCE_FILE).write_text('{"code": {"greedy": 0.5}}')
    compare.main(
        Namespace(
            before=tmp_path / "parent",
            after=tmp_path / "parent",
            held=tmp_path / "held",
            acceptance=tmp_path / "evaluation",
            out=tmp_path / "acceptance",
            device="cpu",
            body_bits=8,
            embedding_bits=8,
            head_bits=8,
        ),
        progress,
    )
    found = json.loads((tmp_path / "acceptance" / ACCEPTANCE_FILE).read_text())
    assert found["code"] == {"greedy": 0.5}
    assert found["traffic"]["greedy"] == found["traffic"]["greedy_before"] > 0
    assert found["traffic"]["texts"] == 5


def test_too_little_traffic_and_a_missing_parent_are_named(tmp_path: Path) -> None:
    (tmp_path / "captured").mkdir()
    args = {"captured": tmp_path / "captured", "target": TINY / "target", "target_id": "tiny", "device": "cpu"}
    with pytest.raises(TrainerError, match="holds 0 requests"):
        traffic.main(Namespace(**args, limit=0, held_share=0.2), Progress("test", None))
    with pytest.raises(TrainerError, match="names no parent"):
        unpack.main(Namespace(release=tmp_path, target=TINY / "target", out=tmp_path), Progress("test", None))
