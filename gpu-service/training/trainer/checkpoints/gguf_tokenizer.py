"""Building `tokenizer.json` from a GGUF file's metadata: byte-level BPE, as the GPT-2 family has it."""

import json
from typing import Any

from checkpoints.checkpoint import TokenizerFiles
from checkpoints.errors import CheckpointError

CONTROL, USER_DEFINED = 3, 4  # token types of the GGUF format
LLAMA_3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ADVICE = "give the model's own tokenizer with --tokenizer FOLDER (tokenizer.json, tokenizer_config.json)"


def tokenizer_files(where: str, fields: dict[str, Any]) -> TokenizerFiles:
    """The tokenizer and chat template of a GGUF file. Errors: CheckpointError for kinds that have no exact twin."""
    model = fields.get("tokenizer.ggml.model")
    if model != "gpt2":
        raise CheckpointError(f"{where}: tokenizer {model!r} cannot be rebuilt from GGUF metadata; {ADVICE}")
    tokens: list[str] = fields.get("tokenizer.ggml.tokens") or []
    merges: list[str] = fields.get("tokenizer.ggml.merges") or []
    types: list[int] = fields.get("tokenizer.ggml.token_type") or [1] * len(tokens)
    if not tokens or not merges or len(types) != len(tokens):
        raise CheckpointError(f"{where}: tokenizer.ggml tokens, merges or token_type missing; {ADVICE}")
    vocabulary = {token: i for i, token in enumerate(tokens)}
    for merge in merges:
        if merge.replace(" ", "", 1) not in vocabulary:
            raise CheckpointError(f"{where}: merge {merge!r} makes a token that the vocabulary lacks; {ADVICE}")
    name = fields.get("tokenizer.ggml.pre")
    built = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(i, tokens[i], kind) for i, kind in enumerate(types) if kind in (CONTROL, USER_DEFINED)],
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(where, name),
        "post_processor": _post_processor(tokens, fields),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": name == "llama-bpe",
            "vocab": vocabulary,
            "merges": [merge.split(" ", 1) for merge in merges],
        },
    }
    text = json.dumps(built, ensure_ascii=False, indent=1) + "\n"
    template = fields.get("tokenizer.chat_template")
    return TokenizerFiles(text.encode(), _tokenizer_config(tokens, fields), template)


def _added(token_id: int, content: str, kind: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": content, **flags, "special": kind == CONTROL}


def _pre_tokenizer(where: str, name: str | None) -> dict[str, Any]:
    def byte_level(use_regex: bool) -> dict[str, Any]:
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}

    match name:
        case "gpt-2":
            return byte_level(use_regex=True)
        case "smollm":
            # As `Digits` with single digits, in a form that the TypeScript tokenizer reads for all scripts, too.
            digits = {"type": "Split", "pattern": {"Regex": r"\p{N}"}, "behavior": "Isolated", "invert": False}
            return {"type": "Sequence", "pretokenizers": [digits, byte_level(use_regex=True)]}
        case "llama-bpe":
            split = {"type": "Split", "pattern": {"Regex": LLAMA_3_PATTERN}, "behavior": "Isolated", "invert": False}
            return {"type": "Sequence", "pretokenizers": [split, byte_level(use_regex=False)]}
    raise CheckpointError(f"{where}: pre-tokenizer {name!r} is not one of gpt-2, smollm, llama-bpe; {ADVICE}")


def _post_processor(tokens: list[str], fields: dict[str, Any]) -> dict[str, Any] | None:
    """Puts the BOS token first where the file says that the model wants it."""
    bos = fields.get("tokenizer.ggml.bos_token_id")
    if bos is None or not fields.get("tokenizer.ggml.add_bos_token", False):
        return None
    first = {"SpecialToken": {"id": tokens[bos], "type_id": 0}}
    text, pair = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}
    special = {tokens[bos]: {"id": tokens[bos], "ids": [bos], "tokens": [tokens[bos]]}}
    return {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, pair],
        "special_tokens": special,
    }


def _tokenizer_config(tokens: list[str], fields: dict[str, Any]) -> bytes:
    def token(name: str) -> str | None:
        at = fields.get(f"tokenizer.ggml.{name}_token_id")
        return None if at is None else tokens[at]

    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", False)),
        "add_prefix_space": bool(fields.get("tokenizer.ggml.add_space_prefix", False)),
        "bos_token": token("bos"),
        "eos_token": token("eos"),
        "unk_token": token("unknown"),
        "pad_token": token("padding"),
        "clean_up_tokenization_spaces": False,
        "model_max_length": fields.get("llama.context_length"),
    }
    return (
        json.dumps({k: v for k, v in config.items() if v is not None}, ensure_ascii=False, indent=2) + "\n"
    ).encode()
