"""GGUF files: written here with the format's own library, read back by the converter."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize
from gguf.quants import quantize as gguf_quantize
from gguf_files import Change, write_gguf
from hub_folders import reference_logits, save_model
from slots_runner import SlotsRunner
from tokenizers import Tokenizer

from checkpoints.checkpoint import QuantizedRows
from checkpoints.errors import CheckpointError
from checkpoints.gguf_file import read_gguf
from checkpoints.hugging_face import read_folder, read_tokenizer
from checkpoints.llama import EMBEDDING, expected_shapes, layer_names
from checkpoints.quantize import dequantize as blocks_to_floats
from checkpoints.target_folder import write_target

Q = GGMLQuantizationType


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that all files here hold."""
    place = tmp_path_factory.mktemp("source") / "model"
    save_model(place, {"rope_parameters": {"rope_type": "default", "rope_theta": 50_000.0}})
    return place


def test_a_file_of_floats_gives_back_every_tensor(folder: Path, tmp_path: Path) -> None:
    source = read_folder(folder)
    read = read_gguf(write_gguf(tmp_path / "model.gguf", source), source.tokenizer)
    assert read.config == source.config
    for name in expected_shapes(source.config, source.config.vocab_size):
        np.testing.assert_array_equal(read.read(name), source.read(name), err_msg=name)
    write_target(read, tmp_path, "small", ["fp32"], print)
    ids = [int(i) for i in np.random.default_rng(1).integers(2, source.config.vocab_size, 60)]
    runner = SlotsRunner(tmp_path / "small", "fp32")
    logits = runner.step([runner.empty()], [ids])[0]
    np.testing.assert_allclose(logits, reference_logits(folder, ids), atol=1e-3, rtol=0)


@pytest.mark.parametrize("qtype", [Q.F16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.BF16])
def test_quantised_files_give_what_the_format_says(folder: Path, tmp_path: Path, qtype: GGMLQuantizationType) -> None:
    source = read_folder(folder)
    read = read_gguf(write_gguf(tmp_path / "model.gguf", source, qtype))
    for name in (EMBEDDING, *layer_names(1).values()):
        values = source.read(name)
        expected = dequantize(gguf_quantize(values, qtype), qtype) if values.ndim == 2 else values
        np.testing.assert_array_equal(read.read(name), expected, err_msg=name)


@pytest.mark.parametrize(("qtype", "bits"), [(Q.Q8_0, 8), (Q.Q4_0, 4), (Q.Q4_1, 4)])
def test_blocks_that_fit_are_kept_as_they_are(
    folder: Path, tmp_path: Path, qtype: GGMLQuantizationType, bits: int
) -> None:
    read = read_gguf(write_gguf(tmp_path / "model.gguf", read_folder(folder), qtype))
    for name in (EMBEDDING, layer_names(0)["q"], layer_names(1)["down"]):
        blocks = read.native_blocks(name, bits)
        assert isinstance(blocks, QuantizedRows)
        # Q4_1 adds its offset in another order, so it may round otherwise in the last place.
        np.testing.assert_allclose(blocks_to_floats(blocks), read.read(name), rtol=0, atol=2e-7)
        assert read.native_blocks(name, 12 - bits) is None


@pytest.mark.parametrize(("qtype", "block_bytes", "scale_at"), [(Q.Q4_K, 144, 0), (Q.Q6_K, 210, 208)])
def test_k_quants_are_read(tmp_path: Path, qtype: GGMLQuantizationType, block_bytes: int, scale_at: int) -> None:
    save_model(tmp_path / "model", {"hidden_size": 256, "num_hidden_layers": 1})
    raw = np.random.default_rng(2).integers(0, 256, (96, block_bytes), dtype=np.uint8)
    raw[:, scale_at : scale_at + 2] = np.frombuffer(np.float16(0.01).tobytes(), np.uint8)
    if qtype == Q.Q4_K:
        raw[:, 2:4] = np.frombuffer(np.float16(0.003).tobytes(), np.uint8)

    def use_k_quants(writer: GGUFWriter) -> None:
        del writer.tensors[0]["blk.0.ffn_up.weight"]
        writer.add_tensor("blk.0.ffn_up.weight", raw, raw_dtype=qtype)

    read = read_gguf(write_gguf(tmp_path / "model.gguf", read_folder(tmp_path / "model"), change=use_k_quants))
    values = read.read(layer_names(0)["up"])
    np.testing.assert_array_equal(values, dequantize(raw, qtype).reshape(96, 256))
    assert 0.01 < values.std() < 100


def test_llama3_factors_divide_the_frequencies(tmp_path: Path) -> None:
    scaling = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    save_model(tmp_path / "model", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 10_000.0, **scaling}})
    source = read_folder(tmp_path / "model")
    plain = 1 / 10_000.0 ** (np.arange(0, 16, 2) / 16)
    wave = 2 * np.pi / plain
    blend = np.clip((64 / wave - 1) / 3, 0, 1)
    factors = (1 / (blend + (1 - blend) / 8)).astype(np.float32)

    def add_factors(writer: GGUFWriter) -> None:
        writer.add_tensor("rope_freqs.weight", factors)

    write_target(
        read_gguf(write_gguf(tmp_path / "m.gguf", source, change=add_factors)), tmp_path, "small", ["fp32"], print
    )
    ids = [int(i) for i in np.random.default_rng(4).integers(2, source.config.vocab_size, 120)]
    runner = SlotsRunner(tmp_path / "small", "fp32")
    logits = runner.step([runner.empty()], [ids])[0]
    np.testing.assert_allclose(logits, reference_logits(tmp_path / "model", ids), atol=1e-3, rtol=0)


def test_the_tokenizer_is_rebuilt(folder: Path, tmp_path: Path) -> None:
    read = read_gguf(write_gguf(tmp_path / "model.gguf", read_folder(folder)))
    tokenizer = Tokenizer.from_str(read.tokenizer.tokenizer_json.decode())
    assert tokenizer.get_vocab() == Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    for text in ("plain <|im_end|> the text", "déjà vu 漢字 🙂\t\x00"):
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert tokenizer.encode("<|im_end|>").ids == [1]


def _string(name: str, value: str) -> Change:
    return lambda writer: writer.add_string(name, value)


def _number(name: str, value: int) -> Change:
    return lambda writer: writer.add_uint32(name, value)


def _replaced(name: str, kind: str, value: Any) -> Change:
    """Another value for a key that `write_gguf` has set already."""

    def change(writer: GGUFWriter) -> None:
        del writer.kv_data[0][name]
        getattr(writer, f"add_{kind}")(name, value)

    return change


def _tensor(name: str) -> Change:
    return lambda writer: writer.add_tensor(name, np.zeros(64, np.float32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(_replaced("general.architecture", "string", "qwen2"), "architecture 'qwen2'", id="architecture"),
        pytest.param(_number("llama.expert_count", 8), "mixture of experts", id="experts"),
        pytest.param(_number("llama.attention.sliding_window", 4096), "sliding-window", id="sliding-window"),
        pytest.param(_number("llama.rope.dimension_count", 8), "partial RoPE", id="partial-rope"),
        pytest.param(_number("llama.attention.value_length", 8), "value heads", id="value-heads"),
        pytest.param(_string("llama.rope.scaling.type", "yarn"), "RoPE scaling 'yarn'", id="yarn"),
        pytest.param(_number("split.count", 2), "split GGUF", id="split"),
        pytest.param(_tensor("blk.0.attn_q.bias"), "bias blk.0.attn_q.bias", id="bias"),
        pytest.param(_tensor("blk.0.attn_q_norm.weight"), "tensor blk.0.attn_q_norm.weight", id="query-norm"),
        pytest.param(_replaced("tokenizer.ggml.model", "string", "llama"), "--tokenizer", id="sentencepiece"),
        pytest.param(_replaced("tokenizer.ggml.pre", "string", "qwen2"), "pre-tokenizer 'qwen2'", id="pre-tokenizer"),
        pytest.param(_replaced("tokenizer.ggml.merges", "array", ["q q"]), "merge 'q q'", id="merge-without-token"),
        pytest.param(_replaced("llama.block_count", "uint32", 3), "layers.2.", id="layer-missing"),
    ],
)
def test_refused_by_name(folder: Path, tmp_path: Path, change: Change, words: str) -> None:
    path = write_gguf(tmp_path / "model.gguf", read_folder(folder), change=change)
    with pytest.raises(CheckpointError) as refusal:
        read_gguf(path)
    assert words in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_sentencepiece_file_is_read_with_a_tokenizer_beside_it(folder: Path, tmp_path: Path) -> None:
    change = _replaced("tokenizer.ggml.model", "string", "llama")
    path = write_gguf(tmp_path / "model.gguf", read_folder(folder), change=change)
    assert read_gguf(path, read_tokenizer(folder)).config == read_folder(folder).config


@pytest.mark.parametrize("cut", [0, 3, 2_000, -5_000])
def test_damaged_files_are_refused(folder: Path, tmp_path: Path, cut: int) -> None:
    path = write_gguf(tmp_path / "model.gguf", read_folder(folder))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="not a GGUF file, or a damaged one"):
        read_gguf(path)
