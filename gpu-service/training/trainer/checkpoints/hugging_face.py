"""Reading a folder laid out as on the Hugging Face hub into a `LlamaCheckpoint`."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 (gives numpy the type bfloat16, which safetensors asks it for by name)
import numpy as np
from safetensors import SafetensorError, safe_open

from checkpoints.checkpoint import F32, LlamaCheckpoint, QuantizedRows, TokenizerFiles
from checkpoints.digest import sha256_of
from checkpoints.errors import CheckpointError
from checkpoints.hugging_face_config import llama_config
from checkpoints.llama import EMBEDDING, HEAD, check_tensors, expected_shapes
from checkpoints.tokenizer import vocabulary_within

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOAT_TYPES = {"F64", "F32", "F16", "BF16"}


def read_folder(folder: Path, tokenizer: TokenizerFiles | None = None) -> LlamaCheckpoint:
    """The checkpoint in `folder`; `tokenizer` replaces its own tokenizer files. Errors: CheckpointError."""
    where = str(folder)
    settings = read_json(folder / "config.json")
    generation = folder / "generation_config.json"
    config, rows = llama_config(where, settings, read_json(generation) if generation.is_file() else {})
    tokenizer = tokenizer or read_tokenizer(folder)
    files = _weight_files(folder)
    tensors = _Tensors(files)
    found = {name: shape for name, shape in tensors.shapes().items() if not name.endswith("rotary_emb.inv_freq")}
    if config.tied and HEAD in found:
        _check_tied(where, tensors)
        del found[HEAD]
    check_tensors(where, expected_shapes(config, rows), found)
    source = {
        "kind": "hugging-face",
        "name": settings.get("_name_or_path") or folder.name,
        "licence": _licence(folder),
        "files": {path.name: sha256_of(path) for path in [folder / "config.json", *files]},
        "vocab_rows": rows,
    }
    return LlamaCheckpoint(vocabulary_within(where, config, rows, tokenizer), tokenizer, tensors, source)


def read_tokenizer(folder: Path) -> TokenizerFiles:
    """The tokenizer files of `folder`; a template inside `tokenizer_config.json` is taken when it has no own file."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        hint = "missing"
        if (folder / "tokenizer.model").is_file():
            hint = "missing (tokenizer.model alone is not enough: load it with transformers and save it again)"
        raise CheckpointError(f"{folder}: tokenizer.json {hint}")
    config_path, template_path = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    settings = read_json(config_path)
    template = template_path.read_text() if template_path.is_file() else settings.get("chat_template")
    if isinstance(template, list):  # several named templates
        named = {str(one.get("name")): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default")
    if template is not None and not isinstance(template, str):
        raise CheckpointError(f"{config_path}: chat_template is not text")
    return TokenizerFiles(path.read_bytes(), config_path.read_bytes(), template)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Errors: CheckpointError for a missing file, or one that is something else."""
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.parent}: {path.name} is missing") from error
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(parsed, dict):
        raise CheckpointError(f"{path}: not a JSON object")
    return parsed


class _Tensors:
    """Tensors of one or more safetensors files."""

    def __init__(self, files: list[Path]) -> None:
        self._home: dict[str, Path] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for path in files:
            try:
                with safe_open(path, framework="np") as file:
                    for name in file.keys():  # noqa: SIM118 (a safetensors handle, not a dict)
                        part = file.get_slice(name)
                        if part.get_dtype() not in FLOAT_TYPES:
                            raise CheckpointError(f"{path}: tensor {name} is {part.get_dtype()}, not floating point")
                        self._home[name] = path
                        self._shapes[name] = tuple(part.get_shape())
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{path}: not a safetensors file, or a damaged one ({error})") from error

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self._shapes

    def read(self, name: str) -> F32:
        with safe_open(self._home[name], framework="np") as file:
            return np.asarray(file.get_tensor(name), np.float32)

    def native_blocks(self, name: str, bits: int) -> QuantizedRows | None:
        del name, bits  # safetensors hold floats
        return None


def _weight_files(folder: Path) -> list[Path]:
    if (folder / INDEX).is_file():
        mapping = read_json(folder / INDEX).get("weight_map")
        if not isinstance(mapping, dict) or not mapping:
            raise CheckpointError(f"{folder / INDEX}: weight_map is missing")
        files = [folder / str(name) for name in sorted(set(mapping.values()))]
        for path in files:
            if not path.is_file() or path.parent != folder:
                raise CheckpointError(f"{folder}: {path.name}, named in {INDEX}, is missing")
        return files
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt*")):
        raise CheckpointError(
            f"{folder}: only pickled weights (.bin, .pt); loading those runs code that they carry, so they "
            f"are refused. Save the model as safetensors first"
        )
    raise CheckpointError(f"{folder}: neither {SINGLE} nor {INDEX} is there")


def _check_tied(where: str, tensors: _Tensors) -> None:
    """A stored head beside `tie_word_embeddings` must be the embedding: which one counts would be a guess."""
    if EMBEDDING in tensors.shapes() and not np.array_equal(tensors.read(EMBEDDING), tensors.read(HEAD)):
        raise CheckpointError(f"{where}: tie_word_embeddings is set, but {HEAD} differs from the embedding")


def _licence(folder: Path) -> str | None:
    """The `license:` line of the model card's header, if there is one."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0].strip() != "---":
        return None
    for line in lines[1:]:
        if line.strip() == "---":
            break
        if line.startswith("license:"):
            return line.removeprefix("license:").strip() or None
    return None
