"""What a draft writes and its target reads: the draft's own ids, the target's mind about them."""

from dataclasses import replace

import numpy as np
import torch
from test_trainer_llama import SMALL, random_model

from trainer.generate import written_by
from trainer.writing import Job, write

JOBS = [Job(list(range(3, 9 + n)), float(n % 2), "code") for n in range(4)]


def test_a_short_head_writes_ids_that_it_knows() -> None:
    draft = random_model(replace(SMALL, tied=False, head_rows=40))
    draft.head_ids.copy_(torch.arange(3, 83, 2))
    for text in write(draft, JOBS, 12, 4, [96], torch.Generator().manual_seed(0)):
        answer = torch.from_numpy(text.ids[text.prompt :].astype(np.int64))
        assert torch.isin(answer, draft.head_ids).all()
        if text.temperature == 0:
            with torch.inference_mode():
                logits = draft(torch.from_numpy(text.ids[:-1].astype(np.int64))[None])[0, text.prompt - 1 :]
            assert torch.equal(draft.head_ids[logits.argmax(-1)], answer)


def test_the_target_reads_what_a_draft_wrote() -> None:
    draft, target = random_model(SMALL, 1), random_model(SMALL, 2)
    texts = written_by(draft, target, JOBS, 10, 5, [96], torch.Generator().manual_seed(0))
    alone = write(draft, JOBS, 10, 5, [96], torch.Generator().manual_seed(0))
    assert {tuple(text.ids) for text in texts if not text.temperature} == {
        tuple(text.ids) for text in alone if not text.temperature
    }
    for text in texts:
        with torch.inference_mode():
            logits = target(torch.from_numpy(text.ids[:-1].astype(np.int64))[None])[0, text.prompt - 1 :]
        assert np.array_equal(text.top_ids, logits.topk(5, -1).indices.numpy())
        assert np.allclose(text.logsumexp, logits.logsumexp(-1).numpy(), atol=1e-4)
