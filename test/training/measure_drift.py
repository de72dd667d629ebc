"""How far the other formats are from fp32: `python test/training/measure_drift.py TARGET_FOLDER` (all converted).

Per format: the largest and mean difference of a logit over the fp32 text of 20 prompts, the share of positions with
the same most likely id, and how many of the 20 greedy texts are the same to the end.
"""

import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "gpu-service/training/trainer")]
PROMPTS: list[str] = json.loads((ROOT / "test/cases/convert-prompts.json").read_text())
NEW_IDS = 48


def main(folder: Path) -> None:
    """Print one line for each quantised format."""
    from slots_runner import SlotsRunner
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompts = [tokenizer.encode(text).ids for text in PROMPTS]
    exact = SlotsRunner(folder, "fp32")
    texts = [exact.greedy(prompt, NEW_IDS) for prompt in prompts]
    wholes = [prompt + text for prompt, text in zip(prompts, texts, strict=True)]
    expected = [exact.step([exact.empty()], [whole])[0] for whole in wholes]
    for weight_format in ("int8", "int4", "w8a8"):
        runner = SlotsRunner(folder, weight_format)
        logits = [runner.step([runner.empty()], [whole])[0] for whole in wholes]
        drift = np.concatenate([np.abs(a - b).ravel() for a, b in zip(logits, expected, strict=True)])
        agreed = np.concatenate(
            [(a.argmax(-1) == b.argmax(-1))[len(p) - 1 :] for a, b, p in zip(logits, expected, prompts, strict=True)]
        )
        same = sum(runner.greedy(prompt, NEW_IDS) == text for prompt, text in zip(prompts, texts, strict=True))
        print(
            f"{weight_format}: logits differ by {drift.max():.2f} at most, {drift.mean():.3f} on average; "
            f"same most likely id at {agreed.mean():.1%} of positions; {same} of {len(prompts)} texts the same"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
