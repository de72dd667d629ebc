"""Target folders are written whole or not at all, and left alone when they are there."""

import errno
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from hub_folders import save_model

from checkpoints import target_folder
from checkpoints.checkpoint import LlamaCheckpoint
from checkpoints.errors import CheckpointError
from checkpoints.hugging_face import read_folder
from checkpoints.target_folder import write_target

TRAINER = Path(__file__).resolve().parents[2] / "gpu-service/training/trainer"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "model"
    save_model(folder, {})
    return folder


@pytest.fixture
def checkpoint(source: Path) -> LlamaCheckpoint:
    return read_folder(source)


def _write(checkpoint: LlamaCheckpoint, models: Path, *formats: str) -> list[str]:
    return write_target(checkpoint, models, "small", list(formats), lambda _: None)


def _snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Inode and digest of every file."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_manifest_states_every_file(checkpoint: LlamaCheckpoint, tmp_path: Path) -> None:
    _write(checkpoint, tmp_path, "fp32", "int8")
    manifest = json.loads((tmp_path / "small/manifest.json").read_text())
    assert set(manifest["formats"]) == {"fp32", "int8"}
    for name, entry in manifest["formats"].items():
        assert set(entry["files"]) == {"weights.bin", *(f"slots-{n}.onnx" for n in (1, 2, 4, 8))}
        for file, stated in entry["files"].items():
            data = (tmp_path / "small" / name / file).read_bytes()
            assert stated == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert manifest["tokenizer_sha256"] == hashlib.sha256((tmp_path / "small/tokenizer.json").read_bytes()).hexdigest()
    assert (tmp_path / "small/chat_template.jinja").is_file()


def test_weights_are_aligned_and_shared_by_all_graphs(checkpoint: LlamaCheckpoint, tmp_path: Path) -> None:
    _write(checkpoint, tmp_path, "int8")
    offsets = []
    for slots in (1, 8):
        model = onnx.load(tmp_path / f"small/int8/slots-{slots}.onnx", load_external_data=False)
        external = {
            t.name: {e.key: e.value for e in t.external_data} for t in model.graph.initializer if t.external_data
        }
        assert all(int(at["offset"]) % 64 == 0 and at["location"] == "weights.bin" for at in external.values())
        assert external["head.quants"]["offset"] == external["embedding.quants"]["offset"]
        offsets.append({name: at["offset"] for name, at in external.items()})
    assert offsets[0] == offsets[1]


def test_a_second_run_changes_nothing(checkpoint: LlamaCheckpoint, tmp_path: Path) -> None:
    assert _write(checkpoint, tmp_path, "fp32") == ["fp32"]
    before = _snapshot(tmp_path / "small")
    assert _write(checkpoint, tmp_path, "fp32") == []
    assert _snapshot(tmp_path / "small") == before


def test_a_format_is_added_and_the_others_are_left_alone(checkpoint: LlamaCheckpoint, tmp_path: Path) -> None:
    _write(checkpoint, tmp_path, "fp32")
    before = _snapshot(tmp_path / "small")
    assert _write(checkpoint, tmp_path, "fp32", "int4") == ["int4"]
    after = _snapshot(tmp_path / "small")
    assert {name: after[name] for name in before if name != "manifest.json"} == {
        name: kept for name, kept in before.items() if name != "manifest.json"
    }
    assert (tmp_path / "small/int4/slots-8.onnx").is_file()


@pytest.mark.parametrize("file", ["fp32/weights.bin", "fp32/slots-4.onnx", "tokenizer.json", "manifest.json"])
def test_damage_is_found_and_mended(checkpoint: LlamaCheckpoint, tmp_path: Path, file: str) -> None:
    _write(checkpoint, tmp_path, "fp32")
    whole = {name: digest for name, (_, digest) in _snapshot(tmp_path / "small").items()}
    path = tmp_path / "small" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert _write(checkpoint, tmp_path, "fp32") == ["fp32"]
    assert {name: digest for name, (_, digest) in _snapshot(tmp_path / "small").items()} == whole


def test_another_source_replaces_the_folder(checkpoint: LlamaCheckpoint, tmp_path: Path) -> None:
    _write(checkpoint, tmp_path, "fp32", "int8")
    save_model(tmp_path / "other", {"num_hidden_layers": 1})
    assert _write(read_folder(tmp_path / "other"), tmp_path, "int8") == ["int8"]
    assert not (tmp_path / "small/fp32").exists()
    assert json.loads((tmp_path / "small/manifest.json").read_text())["layers"] == 1


@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_leaves_what_was_there(
    checkpoint: LlamaCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool
) -> None:
    if existing:
        _write(checkpoint, tmp_path, "fp32")
    before = _snapshot(tmp_path / "small")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(target_folder, "write_weights", full)
    with pytest.raises(CheckpointError, match="the disk is full"):
        _write(checkpoint, tmp_path, "int8")
    assert _snapshot(tmp_path / "small") == before
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_the_command_says_what_it_did_and_what_it_could_not(source: Path, tmp_path: Path) -> None:
    def convert(place: Path, formats: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "checkpoints", str(place), "--models", str(tmp_path), "--id", "small"]
        return subprocess.run(
            [*command, "--formats", formats], cwd=TRAINER, capture_output=True, text=True, check=False
        )

    done = convert(source, "fp32")
    assert (done.returncode, "wrote fp32" in done.stdout) == (0, True)
    assert "already there" in convert(source, "fp32").stdout
    missing = convert(tmp_path / "nothing", "fp32")
    assert (missing.returncode, "no such file or folder" in missing.stderr) == (1, True)
    assert "Traceback" not in missing.stderr
    assert "unknown format int3" in convert(source, "int3").stderr
