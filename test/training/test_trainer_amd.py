"""AMD's two checkpoints, AMD-Llama-135m and AMD-Llama-135m-code: their published shape, with random weights.

Everything by the commands of docs/training.md: plan, one step of training, export, and the edge's own kernel.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from checkpoints.hugging_face import read_folder
from trainer.checkpoint import write_model
from trainer.config_json import parse_config
from trainer.documents import write_documents
from trainer.llama import Llama
from trainer.tokenize import train_tokenizer, write_tokenizer

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "gpu-service/training/trainer"
NODE = ROOT / "node_modules/.bin/node"
PUBLISHED = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 2048,
    "max_position_embeddings": 2048,
    "model_type": "llama",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "num_key_value_heads": 12,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": "4.38.0",
    "use_cache": True,
    "vocab_size": 32000,
}


def trainer(*words: object) -> str:
    command = [sys.executable, "-m", "trainer", *map(str, words)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as it is on the hub (of both checkpoints, whose shapes are one), but for weights and tokenizer."""
    folder = tmp_path_factory.mktemp("hub") / "AMD-Llama-135m-code"
    torch.manual_seed(0)
    model = Llama(parse_config(PUBLISHED, "published"))
    model.initialise()
    write_model(model, folder, [2])
    (folder / "config.json").write_text(json.dumps(PUBLISHED))
    write_tokenizer(folder, train_tokenizer(["def add(a, b):\n    return a + b\n"], 300))
    return folder


def test_from_the_hubs_folder_to_the_edges_kernel(published: Path, tmp_path: Path) -> None:
    folder = published
    plan = trainer("plan", "--model", folder, "--steps", 1, "--batch", 1, "--sequence", 32)
    assert "134,105,856" in plan
    assert "12 x 768, 12 heads of 64 (12 for keys), FFN 2048, vocabulary 32,000, context 2,048" in plan
    write_documents(tmp_path / "corpus", iter([{"path": "a.py", "text": "def add(a, b):\n    return a + b\n" * 9}]))
    step = ["--steps", 1, "--batch", 2, "--micro-batch", 1, "--sequence", 32, "--lr", 3e-4, "--lr-last", 3e-5]
    trainer("finetune", "--model", folder, "--corpus", tmp_path / "corpus", *step, "--out", tmp_path / "tuned")
    (told,) = (tmp_path / "tuned/metrics/steps.jsonl").read_text().splitlines()
    assert json.loads(told)["loss"] == pytest.approx(10.4, abs=0.5), "log of 32,000 ids"
    assert read_folder(tmp_path / "tuned").config.layers == 12
    bits = ["--body-bits", 4, "--embedding-bits", 4, "--head-bits", 4]
    release = ["--draft", tmp_path / "tuned", "--target", folder, "--target-id", "codellama-7b"]
    trainer("export", *release, *bits, "--acceptance", tmp_path, "--out", tmp_path / "release")
    manifest = json.loads((tmp_path / "release/manifest.unsigned.json").read_text())
    assert (manifest["vocab_size"], manifest["context"]) == (32000, 2048)
    assert manifest["memory_bytes"] < 80e6
    command = [NODE, "infra/releases/draft.ts", tmp_path / "release", "--tokens", "4"]
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert len(said["ids"]) == 4
    assert said["memory_bytes"] <= 88 << 20
