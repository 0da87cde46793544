"""The readers of weights and training states, which are fuzzed with a changed header."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig
from grasp.field.trained import GraspField
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.learning import checkpoint
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.state import TrainingState
from pcdiff.learning.trainer import LAST, train
from tests import tiny
from tests.fuzz.mutations import changed, damaged
from tests.fuzz.targets import Target
from tests.hostile.containers import header_of, safetensors

SMALL = FieldConfig(energy=NetworkConfig(8, 2, 4), success=NetworkConfig(8, 2, 4))
TRAINING = TrainingConfig(steps=2, batch_size=3, warmup_steps=0, validate_every=1, bfloat16=False)


@st.composite
def odd_weights(draw: st.DrawFn, path: Path, part: str | None) -> bytes:
    """Weights with other values in their configuration, or in one part of it."""
    header, rest = header_of(path)
    configuration = json.loads(header["__metadata__"]["configuration"])
    inner: Any = configuration if part is None else configuration[part]
    inner = draw(changed(inner))
    configuration = inner if part is None else {**configuration, part: inner}
    header["__metadata__"]["configuration"] = json.dumps(configuration)
    return safetensors(header, rest)


def resume(path: Path) -> None:
    """Resume a run, and take one more step with the state that was read."""
    state = TrainingState(tiny.Regression(), TRAINING, tiny.torch.device("cpu"))
    state.load(path)
    assert state.step >= 0


def targets(folder: Path) -> dict[str, Target]:
    """Make small sound files in a folder, and return the targets that damage them."""
    generator, field, run = folder / "generator.safetensors", folder / "field.safetensors", folder
    tiny.generator().save(generator)
    model = GraspField.initialized(SMALL, 0)
    checkpoint.save(field, "grasp-field", {"model": SMALL.as_dict()}, model.state_dict())
    tiny.run(train(tiny.Regression(), TRAINING, run / "run"), until=1)
    state = run / "run" / LAST
    weights = partial(Target, "safetensors", beside={})
    return {
        "weights": weights(damaged([generator.read_bytes()]), PointCloudGenerator.from_pretrained),
        "network configuration": weights(
            st.one_of(odd_weights(generator, None), odd_weights(generator, "model")),
            PointCloudGenerator.from_pretrained,
        ),
        "field configuration": weights(odd_weights(field, "model"), GraspField.from_pretrained),
        "checkpoint metadata": weights(
            st.one_of(
                odd_weights(state, None),
                odd_weights(state, "progress"),
                odd_weights(state, "description"),
                damaged([state.read_bytes()]),
            ),
            resume,
        ),
    }
