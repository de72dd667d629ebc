"""Small random Llama models, saved by transformers as the hub lays them out."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

SPECIAL = ["<|endoftext|>", "<|im_end|>"]
MERGES = [("t", "h"), ("th", "e")]
KNOWN_IDS = len(SPECIAL) + 256 + len(MERGES)
TEMPLATE = "{{ messages[0]['content'] }}"

SMALL: dict[str, Any] = {
    "vocab_size": KNOWN_IDS,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
    # Wide enough that logits spread over several units: a tolerance of 1e-3 then means something.
    "initializer_range": 0.15,
}


def save_model(folder: Path, settings: dict[str, Any], *, shards: bool = False, dtype: str = "float32") -> None:
    """A random model of SMALL changed by `settings`, with a byte-level tokenizer."""
    torch.manual_seed(7)
    config = LlamaConfig(**{**SMALL, **settings})
    model = LlamaForCausalLM(config).to(getattr(torch, dtype))
    model.save_pretrained(folder, max_shard_size="100KB" if shards else "1GB")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate([*SPECIAL, *alphabet, *map("".join, MERGES)])}
    tokenizer = Tokenizer(models.BPE(vocab, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": SPECIAL[1], "chat_template": TEMPLATE}))


def change_config(folder: Path, **changes: Any) -> None:
    """Set keys of `config.json`; None takes one away."""
    path = folder / "config.json"
    settings = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in settings.items() if value is not None}))


def reference_logits(folder: Path, ids: list[int]) -> Any:
    """f32 [ids, vocabulary] by transformers."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()
