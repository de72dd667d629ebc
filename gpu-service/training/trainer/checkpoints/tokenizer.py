"""What the converter must know of a `tokenizer.json`: how many ids it can name."""

import json
from dataclasses import replace

from checkpoints.checkpoint import TokenizerFiles
from checkpoints.errors import CheckpointError
from checkpoints.llama import LlamaConfig


def vocabulary_within(where: str, config: LlamaConfig, vocab_rows: int, tokenizer: TokenizerFiles) -> LlamaConfig:
    """`config` with its vocabulary cut to the ids that the tokenizer knows.

    Rows beyond them only pad the matrix; cut off, no id that has no text can ever be drawn.
    """
    known = known_ids(where, tokenizer.tokenizer_json)
    if known > vocab_rows:
        raise CheckpointError(f"{where}: the tokenizer names {known} ids, the model has only {vocab_rows}")
    for name, token in [("bos", config.bos_id), *(("eos", eos) for eos in config.eos_ids)]:
        if token is not None and not 0 <= token < known:
            raise CheckpointError(f"{where}: {name} id {token} is outside the tokenizer's {known} ids")
    return replace(config, vocab_size=known)


def known_ids(where: str, tokenizer_json: bytes) -> int:
    """One more than the highest id in a `tokenizer.json`."""
    try:
        parsed = json.loads(tokenizer_json)
        vocabulary = parsed["model"]["vocab"]
        added = [int(token["id"]) for token in parsed.get("added_tokens") or []]
        ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        return max([*(int(token) for token in ids), *added]) + 1
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{where}: tokenizer.json is not a tokenizers file ({error!r})") from error
