"""Checkpoints: exact, complete or absent, and refused in one sentence if they are not ours."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from pcdiff.errors import InputError
from pcdiff.learning import checkpoint

TENSORS = {
    "a.weight": torch.tensor([[1.5, -0.0, 3e-42], [torch.inf, 1 / 3, -7.0]]),
    "a.double": torch.tensor([1 / 3], dtype=torch.float64),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "step": torch.tensor(2**40, dtype=torch.int64),
    "mask": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
}
CONFIGURATION = {"model": {"latent": 4, "mean": [0.1, 1e-300]}, "note": "ε ≥ 0", "nothing": None}


def save(path: Path, kind: str = "toy") -> bytes:
    checkpoint.save(path, kind, CONFIGURATION, TENSORS)
    return path.read_bytes()


def foreign(path: Path, metadata: dict[str, str] | None) -> Path:
    """A safetensors file of another project."""
    path.write_bytes(safetensors.torch.save({"w": torch.ones(2)}, metadata))
    return path


def refusal(function, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- Round trips ----------------------------------------------------------------------------------


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    save(tmp_path / "w.safetensors")
    configuration, tensors = checkpoint.load(tmp_path / "w.safetensors", "toy")
    assert configuration == {
        "format": "pcdiff-grasp/weights", "version": 1, "kind": "toy", **CONFIGURATION,
    }  # fmt: skip
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype and tensors[name].shape == tensor.shape
        assert safetensors.torch.save({"": tensors[name]}) == safetensors.torch.save({"": tensor})


def test_the_metadata_is_one_key_that_holds_json(tmp_path):
    save(tmp_path / "w.safetensors")
    with safetensors.safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert list(metadata) == ["configuration"]
    assert json.loads(metadata["configuration"])["kind"] == "toy"


def test_views_and_parameters_are_saved_as_they_look(tmp_path):
    whole = nn.Parameter(torch.arange(12.0).reshape(3, 4))
    views = {"transposed": whole.T, "row": whole[1], "every other": whole[:, ::2]}
    checkpoint.save(tmp_path / "w.safetensors", "toy", {}, views)
    tensors = checkpoint.load(tmp_path / "w.safetensors", "toy")[1]
    assert all(torch.equal(tensors[name], view) for name, view in views.items())


def test_equal_checkpoints_are_equal_files(tmp_path):
    assert save(tmp_path / "a.safetensors") == save(tmp_path / "b.safetensors")


def test_a_state_is_copied_into_a_module(tmp_path):
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    checkpoint.save(tmp_path / "w.safetensors", "toy", {}, source.state_dict())
    path = tmp_path / "w.safetensors"
    checkpoint.load_state(target, checkpoint.load(path, "toy")[1], path)
    assert torch.equal(target.weight, source.weight) and torch.equal(target.bias, source.bias)


# --- Refusals -------------------------------------------------------------------------------------


def test_absent_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    assert refusal(checkpoint.load, path, "toy") == f"weights {path}: the file does not exist"
    assert str(tmp_path) in refusal(checkpoint.load, tmp_path, "toy")


def test_truncated_weights_wherever_they_end(tmp_path):
    path = tmp_path / "w.safetensors"
    content = save(path)
    for length in (*range(0, len(content), 13), len(content) - 1):
        path.write_bytes(content[:length])
        message = refusal(checkpoint.load, path, "toy")
        assert message.startswith(f"weights {path}: expected a complete safetensors file, but ")
    path.write_bytes(content + b"\0")
    assert "complete safetensors file" in refusal(checkpoint.load, path, "toy")


@pytest.mark.parametrize(
    "content",
    [b"hello, this is no checkpoint\n" * 9, b"\x80\x04\x95\x05pickle.", b"PK\x03\x04" * 99],
)
def test_text_pickles_and_archives_are_not_weights(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    assert "complete safetensors file" in refusal(checkpoint.load, path, "toy")


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"format": "pt"}, {"configuration": "{"}, {"configuration": "[1]"},
     {"configuration": '"text"'}, {"configuration": "null"}, {"configuration": '{"version": 1}'}],
)  # fmt: skip
def test_safetensors_of_others_are_not_ours(tmp_path, metadata):
    path = foreign(tmp_path / "w.safetensors", metadata)
    message = refusal(checkpoint.load, path, "toy")
    assert message == (
        f"weights {path}: the file has no configuration of format 'pcdiff-grasp/weights'"
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            "format",
            "other/weights",
            "expected format 'pcdiff-grasp/weights', got 'other/weights'",
        ),
        ("version", 2, "expected version 1, got 2"),
        ("version", "1", "expected version 1, got '1'"),
        ("kind", "grasp-field", "expected kind 'toy', got 'grasp-field'"),
    ],
)
def test_another_format_version_or_kind_is_named(tmp_path, key, value, words):
    header = {"format": "pcdiff-grasp/weights", "version": 1, "kind": "toy", key: value}
    path = foreign(tmp_path / "w.safetensors", {"configuration": json.dumps(header)})
    assert refusal(checkpoint.load, path, "toy") == f"weights {path}: {words}"


def test_damaged_bytes_give_tensors_or_one_sentence(tmp_path):
    """However safetensors reacts to the damage, no other exception reaches the caller."""
    path = tmp_path / "w.safetensors"
    content, rng = save(path), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=2):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            checkpoint.load(path, "toy")
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 0 < refused < 300


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bias": None}, "tensor 'bias' should be of shape [2] but is absent"),
        ({"scale": torch.ones(1)}, "tensor 'scale' should be absent but is of shape [1]"),
        (
            {"weight": torch.ones(3, 2)},
            "tensor 'weight' should be of shape [2, 3] but is of shape [3, 2]",
        ),
    ],
)
def test_a_state_of_another_module_changes_nothing(tmp_path, change, words):
    module = nn.Linear(3, 2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    tensors = {"weight": torch.ones(2, 3), "bias": torch.ones(2), **change}
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    message = refusal(checkpoint.load_state, module, tensors, "w.safetensors")
    assert message == f"weights w.safetensors: {words}"
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


# --- Writing --------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    """The disk accepts half of the file and then reports that it is full."""
    path = tmp_path / "w.safetensors"
    before = save(path)

    def fill(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", fill)
    message = refusal(checkpoint.save, path, "toy", {}, {"other": torch.ones(9)})
    assert message == f"cannot write {path}: No space left on device"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    before = save(path)

    def interrupt(self, content):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, "toy", {}, {"other": torch.ones(9)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_where_the_folder_should_be_is_refused(tmp_path):
    (tmp_path / "run").write_text("not a folder")
    path = tmp_path / "run" / "w.safetensors"
    assert refusal(checkpoint.save, path, "toy", {}, {}).startswith(f"cannot write {path}: ")
    assert (tmp_path / "run").read_text() == "not a folder"


def test_what_json_cannot_hold_is_a_bug_and_touches_no_file(tmp_path):
    path = tmp_path / "w.safetensors"
    before = save(path)
    with pytest.raises(TypeError):
        checkpoint.save(path, "toy", {"model": object()}, {})
    assert path.read_bytes() == before
