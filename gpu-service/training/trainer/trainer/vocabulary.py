"""A tokenizer folder: tokenizer.json, with what tokenizer_config.json says about ends and chats."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template
from jinja2.sandbox import SandboxedEnvironment
from tokenizers import Tokenizer

from trainer.errors import TrainerError

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"
END_NAMES = ("<|endoftext|>", "<|im_end|>", "</s>", "<|end_of_text|>", "<|eot_id|>")


@dataclass(frozen=True)
class Vocabulary:
    tokenizer: Tokenizer
    size: int
    stop_ids: list[int]
    """Ids that end a text, ascending: the folder's own eos and the usual names that it knows."""
    special_ids: list[int]
    chat_template: str | None

    @staticmethod
    def read(folder: Path) -> Vocabulary:
        path = folder / TOKENIZER_FILE
        if not path.exists():
            raise TrainerError(f"{folder}: {TOKENIZER_FILE} is missing")
        tokenizer = Tokenizer.from_file(str(path))
        config = read_json(folder / TOKENIZER_CONFIG_FILE)
        eos = config.get("eos_token")
        eos_name = eos.get("content") if isinstance(eos, dict) else eos
        names = [*END_NAMES, *([eos_name] if isinstance(eos_name, str) else [])]
        stops = {tokenizer.token_to_id(name) for name in names} - {None}
        template = folder / CHAT_TEMPLATE_FILE
        return Vocabulary(
            tokenizer=tokenizer,
            size=tokenizer.get_vocab_size(),
            stop_ids=sorted(int(stop) for stop in stops if stop is not None),
            special_ids=sorted(i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special),
            chat_template=template.read_text(encoding="utf-8") if template.exists() else config.get("chat_template"),
        )

    def encode(self, text: str) -> list[int]:
        """Ids of a text; names of special tokens in it count as such. Nothing is added."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def chat(self, question: str) -> str:
        """The prompt that asks `question` and opens the answer, by the folder's template."""
        if self.chat_template is None:
            raise TrainerError("the target's tokenizer has no chat template; ask for prompts of domain `code` only")
        return parsed_template(self.chat_template).render(
            messages=[{"role": "user", "content": question}], add_generation_prompt=True
        )


@cache
def parsed_template(source: str) -> Template:
    return SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(source)


def read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise TrainerError(f"{path} is not a JSON object")
    return value
