"""Fetching a model from the Hugging Face hub: `python -m checkpoints.hub OWNER/MODEL --into FOLDER`."""

import argparse
import sys
from pathlib import Path

from checkpoints.outside import public_addresses_only

# Only what a conversion reads: no pickles, no code.
ALLOWED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "README.md", "LICENSE*"]


def main() -> int:
    """Download at one commit and say which; exit status 1 and the client's words when that fails."""
    from huggingface_hub import HfApi, snapshot_download  # installed only when a hub name is asked for

    parser = argparse.ArgumentParser(prog="checkpoints.hub")
    parser.add_argument("name")
    parser.add_argument("--revision", default="main")
    parser.add_argument("--into", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        with public_addresses_only():
            commit = HfApi().model_info(arguments.name, revision=arguments.revision).sha
            print(f"{arguments.name} at commit {commit}; pin it with --revision {commit}")
            snapshot_download(arguments.name, revision=commit, local_dir=arguments.into, allow_patterns=ALLOWED)
    except Exception as error:  # the client raises its transport's errors; each is shown as it is
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
