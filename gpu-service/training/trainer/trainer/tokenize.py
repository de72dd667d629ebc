"""Stage `tokenize`: documents into rows of ids in shards, each document closed by the end-of-text id.

With `--tokenizer` the ids are those of that folder (for a draft: its target's); with `--train-vocab` a byte-level BPE
is trained on the corpus first. Either way the tokenizer's files are copied into the output folder.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from checkpoints.digest import sha256_of
from trainer.corpus import MANIFEST_FILE
from trainer.documents import Documents
from trainer.errors import TrainerError
from trainer.fim import FIM_NAMES
from trainer.folders import write_bytes, write_text
from trainer.progress import Progress
from trainer.token_shards import read_shards, shard_path, write_shard
from trainer.vocabulary import CHAT_TEMPLATE_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, Vocabulary

SPECIAL_NAMES = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *FIM_NAMES]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
    "add_bos_token": False,
    "clean_up_tokenization_spaces": False,
    "chat_template": CHAT_TEMPLATE,
}
DOCUMENTS_AT_ONCE = 64


def train_tokenizer(documents: Sequence[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL_NAMES,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def write_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    write_text(folder / TOKENIZER_FILE, tokenizer.to_str(pretty=True) + "\n")
    write_text(folder / TOKENIZER_CONFIG_FILE, json.dumps(TOKENIZER_CONFIG, indent=2) + "\n")


def copy_tokenizer(source: Path, to: Path) -> None:
    """The files that make a tokenizer; the same bytes, since a release names their hash."""
    to.mkdir(parents=True, exist_ok=True)
    for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, CHAT_TEMPLATE_FILE):
        if (source / name).exists():
            shutil.copyfile(source / name, to / name)


def end_id(vocabulary: Vocabulary) -> int:
    """What closes a document: <|endoftext|> where it exists, else the first id that ends a text."""
    named = vocabulary.tokenizer.token_to_id("<|endoftext|>")
    if named is not None:
        return int(named)
    if not vocabulary.stop_ids:
        raise TrainerError("the tokenizer knows no end-of-text id")
    return vocabulary.stop_ids[0]


def write_shards(documents: Documents, vocabulary: Vocabulary, size: int, out: Path, progress: Progress) -> None:
    """`size` documents a shard. A shard that is there already is left: a run that was cut off goes on."""
    end, total = end_id(vocabulary), len(documents)
    for index in range(-(-total // size)):
        path = shard_path(out, index)
        if path.exists():
            continue
        ids: list[int] = []
        stop = min(total, (index + 1) * size)
        for start in range(index * size, stop, DOCUMENTS_AT_ONCE):
            group = documents[start : min(stop, start + DOCUMENTS_AT_ONCE)]
            for encoding in vocabulary.tokenizer.encode_batch_fast(list(group), add_special_tokens=False):
                ids += [*encoding.ids, end]
            progress.step(start + len(group), total, tokens=len(ids))
        write_shard(path, ids, vocabulary.size)


def manifest_of(documents: int, vocabulary: Vocabulary, out: Path) -> dict[str, Any]:
    sizes = [len(shard) for shard in read_shards(out)]
    paths = [shard_path(out, index) for index in range(len(sizes))]
    return {
        "documents": documents,
        "tokens": sum(sizes),
        "vocab_size": vocabulary.size,
        "shards": [
            {"file": path.name, "tokens": size, "sha256": sha256_of(path)}
            for path, size in zip(paths, sizes, strict=True)
        ],
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", type=Path, required=True, help="folder of stage `corpus`")
    parser.add_argument("--tokenizer", type=Path, help="folder that holds tokenizer.json")
    parser.add_argument("--train-vocab", type=int, help="or: train a byte-level BPE of so many ids")
    parser.add_argument("--shard-documents", type=int, default=100_000, help="documents a shard")
    parser.add_argument("--out", type=Path, required=True)


def main(args: argparse.Namespace, progress: Progress) -> None:
    documents = Documents(args.corpus)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.train_vocab:
        write_tokenizer(args.out, train_tokenizer(documents, args.train_vocab))
    elif args.tokenizer:
        copy_tokenizer(args.tokenizer, args.out)
    else:
        raise TrainerError("name a --tokenizer folder or --train-vocab")
    vocabulary = Vocabulary.read(args.out)
    write_shards(documents, vocabulary, args.shard_documents, args.out, progress)
    manifest = manifest_of(len(documents), vocabulary, args.out)
    write_bytes(args.out / MANIFEST_FILE, json.dumps(manifest, indent=2).encode() + b"\n")
