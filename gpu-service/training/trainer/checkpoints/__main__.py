"""Command line: `python -m checkpoints SOURCE --models FOLDER --id ID --formats int8,fp32`."""

import argparse
import sys
import time
from pathlib import Path

from checkpoints.checkpoint import LlamaCheckpoint
from checkpoints.errors import CheckpointError
from checkpoints.gguf_file import read_gguf
from checkpoints.hugging_face import read_folder, read_tokenizer
from checkpoints.sources import record_source
from checkpoints.target_folder import write_target
from checkpoints.weights import FORMAT_BITS
from checkpoints.widened import widen


def main() -> int:
    """Convert one source; exit status 1 and one clear line when it cannot be."""
    arguments = _arguments()
    started = time.monotonic()
    try:
        checkpoint = _read(arguments.source, arguments.tokenizer)
        if arguments.widen:
            checkpoint = widen(checkpoint, *arguments.widen)
        written = write_target(checkpoint, arguments.models, arguments.id, arguments.formats, _progress)
        if not arguments.widen:
            record_source(arguments.models, arguments.id, arguments.source)
    except CheckpointError as error:
        print(f"\nconversion failed: {error}", file=sys.stderr)
        return 1
    done = f"wrote {', '.join(written)} in {time.monotonic() - started:.0f} s" if written else "already there, intact"
    print(f"\r{arguments.models / arguments.id}: {done}".ljust(60))
    return 0


def _read(source: Path, tokenizer: Path | None) -> LlamaCheckpoint:
    replacement = None if tokenizer is None else read_tokenizer(tokenizer)
    if source.is_dir():
        return read_folder(source, replacement)
    if source.is_file():
        return read_gguf(source, replacement)
    raise CheckpointError(f"{source}: no such file or folder")


def _progress(step: str) -> None:
    if sys.stdout.isatty():
        print(f"\r{step}".ljust(40), end="", flush=True)


def _formats(text: str) -> list[str]:
    formats = [name.strip() for name in text.split(",")]
    unknown = [name for name in formats if name not in FORMAT_BITS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown format {', '.join(unknown)}; known: {', '.join(FORMAT_BITS)}")
    return formats


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="checkpoints", description="Convert a Llama model for the verifier.")
    parser.add_argument("source", type=Path, help="a GGUF file, or a folder laid out as on the Hugging Face hub")
    parser.add_argument("--models", type=Path, required=True, help="where target folders live")
    parser.add_argument("--id", required=True, help="name of the target")
    parser.add_argument("--formats", type=_formats, required=True, help="comma-separated: " + ", ".join(FORMAT_BITS))
    parser.add_argument("--tokenizer", type=Path, help="folder whose tokenizer files replace the source's own")
    parser.add_argument(
        "--widen",
        type=int,
        nargs=2,
        metavar=("HIDDEN_TIMES", "FFN_TIMES"),
        help="for benchmarks: widen with zeros; the same function at a larger model's cost",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
