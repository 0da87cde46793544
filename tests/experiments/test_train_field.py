"""The pipeline from nothing to weights, with a small recipe; it continues where it was killed."""

from __future__ import annotations

import json

import pytest
import torch

from experiments import train_field
from experiments.train_field import RECIPE, RECORD, STAGES, WEIGHTS, Pipeline, run
from grasp.field.trained import GraspField
from pcdiff.errors import InputError

SMALL = json.loads(RECIPE.with_name("small.json").read_text("utf-8"))


def test_both_recipes_state_the_same_settings():
    large = json.loads(RECIPE.read_text("utf-8"))
    assert large.keys() == SMALL.keys()
    seeds = [each["seed"] for recipe in (large, SMALL) for each in recipe["sets"].values()]
    frozen = json.loads((RECIPE.parents[1] / "splits.json").read_text("utf-8"))
    judged = {each["seed"] for each in frozen["sets"].values() if "seed" in each}
    assert len(set(seeds)) == len(seeds) and not judged & set(seeds)


def test_a_finished_stage_is_skipped_and_a_killed_one_is_repeated(tmp_path, monkeypatch):
    done, fail = [], [True]

    def first(pipeline):
        """Write a file."""
        done.append("first")
        (pipeline.output / "a").write_text("a")
        yield pipeline.output / "a"

    def second(pipeline):
        """Write another file."""
        done.append("second")
        if fail[0]:
            raise KeyboardInterrupt
        (pipeline.output / "b").write_text("b")
        yield pipeline.output / "b"

    monkeypatch.setattr(train_field, "STAGES", (first, second))
    pipeline = Pipeline(SMALL, tmp_path / "run", "cpu")
    with pytest.raises(KeyboardInterrupt):
        run(pipeline)
    fail[0] = False
    found = run(pipeline)
    assert done == ["first", "second", "second"]
    assert run(pipeline) == found and len(done) == 3
    assert json.loads((pipeline.output / RECORD).read_text("utf-8")) == found
    other = Pipeline({**SMALL, "seed": 1}, pipeline.output, "cpu")
    with pytest.raises(InputError, match="holds the results of another recipe"):
        run(other)


@pytest.mark.extras
def test_a_small_recipe_makes_weights_from_nothing(tmp_path):
    pipeline = Pipeline(SMALL, tmp_path / "run", "cpu")
    found = run(pipeline)
    assert list(found["stages"]) == [stage.__name__ for stage in STAGES]
    assert all(len(stage["sha256"]) == 64 for stage in found["stages"].values())
    field = GraspField.from_pretrained(pipeline.output / "success" / "best.safetensors")
    assert field.config.protocol == "3"
    jaws = sorted(name for name in field.config.grippers if name.startswith("jaw_"))
    assert jaws == ["jaw_61900_000", "jaw_61900_001"]
    before = GraspField.from_pretrained(pipeline.output / "energy" / "best.safetensors")
    for name, weights in field.energy.state_dict().items():
        torch.testing.assert_close(weights, before.energy.state_dict()[name], rtol=0, atol=0)
    changed = [
        not torch.equal(weights, before.success.state_dict()[name])
        for name, weights in field.success.state_dict().items()
    ]
    assert any(changed)
    calibrated = GraspField.from_pretrained(pipeline.output / WEIGHTS)
    known = json.loads((pipeline.output / "calibration.json").read_text("utf-8"))
    last = calibrated.success.perceptron.last
    expected = known["scale"] * field.success.perceptron.last.weight
    torch.testing.assert_close(last.weight, expected, rtol=1e-5, atol=0)
    card = (pipeline.output / "panda.md").read_text("utf-8")
    digests = {name: stage["sha256"][:16] for name, stage in found["stages"].items()}
    assert all(digest in card for name, digest in digests.items() if name != "card")
    assert "vessels" in card and "{" not in card.split("```")[2]
