"""The training loop against a slow, obvious one, and its promises about runs on disk."""

from __future__ import annotations

import csv
import math
import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.clouds.objective import StepClouds
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.trainer import BEST, LAST, LOG, train
from pcdiff.randomness import normal, seeded
from tests import tiny

CONFIG = TrainingConfig(
    steps=12,
    batch_size=3,
    learning_rate=0.02,
    warmup_steps=4,
    gradient_clip=0.5,
    validate_every=5,
    bfloat16=False,
    seed=3,
)


class Scripted(tiny.Regression):
    """An objective with prescribed validation losses."""

    def __init__(self, losses):
        super().__init__()
        self.losses = iter(losses)

    def validation_loss(self, model, generator):
        return {"loss": torch.tensor(next(self.losses))}


class Diverging(tiny.Regression):
    """An objective whose loss is NaN from the third call on."""

    def loss(self, model, items, generators):
        parts = super().loss(model, items, generators)
        return {"loss": parts["loss"] * (math.nan if len(self.seen) > 2 else 1.0)}


def reference(config, size=7, finished_at=0):
    """The loop written out: weights and averages at the end, losses and norms of every step.

    The steps before `finished_at` belong to a run of that length, which was then extended.
    """
    task = tiny.Regression(size)
    weights = [p.detach().clone() for p in task.model.parameters()]
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    averages = [w.clone() for w in weights]
    losses, norms = [], []
    order = []
    for epoch in range(100):
        order += torch.randperm(size, generator=seeded(config.seed, 0, epoch)).tolist()
    for step in range(config.steps):
        items = [order.pop(0) for _ in range(config.batch_size)]
        noise = [
            normal((3,), seeded(config.seed, 1, step, place), torch.float64)
            for place in range(config.batch_size)
        ]
        a, b = (w.clone().requires_grad_() for w in weights)
        error = (task.x[items] + 0.1 * torch.stack(noise)) @ a.T + b - task.y[items]
        loss = error.square().mean()
        gradients = torch.autograd.grad(loss, [a, b])
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        if step < config.warmup_steps:
            rate = config.learning_rate * (step + 1) / config.warmup_steps
        else:
            total = finished_at if step < finished_at else config.steps
            done = (step - config.warmup_steps) / (total - config.warmup_steps)
            low = config.learning_rate * config.final_learning_rate
            rate = low + (config.learning_rate - low) * (1 + math.cos(math.pi * done)) / 2
        n = step + 1
        decay = min(config.ema_decay, (1 + n) / (10 + n))
        for i, gradient in enumerate(gradients):
            g = gradient * min(1.0, config.gradient_clip / (norm + 1e-6))
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            step_size = rate / (1 - 0.9**n)
            root = (second[i] / (1 - 0.999**n)).sqrt() + 1e-8
            weights[i] = weights[i] - step_size * first[i] / root
            averages[i] = decay * averages[i] + (1 - decay) * weights[i]
        losses.append(float(loss.detach()))
        norms.append(float(norm))
    return weights, averages, losses, norms


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"gradient_clip": 1e9},
        {"gradient_clip": 1e-3},
        {"ema_decay": 0.3},
        {"warmup_steps": 0},
        {"batch_size": 9},  # more than one epoch per step
        {"seed": 4},
    ],
    ids=str,
)
def test_the_loop_is_adam_with_clipping_a_schedule_and_an_average(tmp_path, change):
    """Up to float64 rounding: batches, noise, rates, clipping, Adam, averaging and the log."""
    config = replace(CONFIG, **change)
    tiny.run(train(tiny.Regression(), config, tmp_path))
    weights, averages, losses, norms = reference(config)
    tensors = tiny.state(tmp_path)[1]
    for i, name in enumerate(("weight", "bias")):
        torch.testing.assert_close(tensors[f"model.{name}"], weights[i], rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(tensors[f"average.{name}"], averages[i], rtol=1e-11, atol=1e-12)
    rows = tiny.log(tmp_path)
    assert [float(row["step"]) for row in rows] == [5, 10, 12]
    for row, part in zip(rows, (slice(0, 5), slice(5, 10), slice(10, 12)), strict=True):
        assert float(row["train_loss"]) == pytest.approx(np.mean(losses[part]), rel=1e-11)
        assert float(row["train_gradient_norm"]) == pytest.approx(np.mean(norms[part]), rel=1e-11)


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine():
    config = TrainingConfig(steps=110, warmup_steps=10, learning_rate=2.0, final_learning_rate=0.25)
    rates = [config.learning_rate_at(step) for step in range(111)]
    assert rates[:10] == pytest.approx([0.2 * n for n in range(1, 11)])
    assert rates[10] == 2.0
    assert rates[60] == pytest.approx(1.25)  # half way: the mean of both ends
    assert rates[110] == pytest.approx(0.5)
    assert all(a > b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize("micro_batch", [1, 2, 4])  # 4 does not divide a batch of 3, nor does 2
def test_micro_batches_change_the_speed_and_not_the_run(tmp_path, micro_batch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    tiny.run(train(tiny.cloud_objective(), CONFIG, whole))
    tiny.run(train(tiny.cloud_objective(), replace(CONFIG, micro_batch=micro_batch), parts))
    for name, tensor in tiny.state(whole)[1].items():
        torch.testing.assert_close(tiny.state(parts)[1][name], tensor, rtol=1e-3, atol=1e-5)
    rows, others = (np.genfromtxt(run / LOG, names=True, delimiter=",") for run in (whole, parts))
    for name in set(rows.dtype.names) - {"seconds"}:
        np.testing.assert_allclose(rows[name], others[name], rtol=1e-3)


def test_another_machine_may_resume_with_other_micro_batches(tmp_path):
    config = replace(CONFIG, validate_every=1)
    tiny.run(train(tiny.Regression(), config, tmp_path), until=1)
    other = replace(config, micro_batch=1)
    tiny.run(train(tiny.Regression(), other, tmp_path, resume=True))
    assert tiny.state(tmp_path)[0] == config.steps


def test_training_is_shuffled_anew_in_every_epoch(tmp_path):
    task = tiny.Regression(size=10)
    tiny.run(train(task, replace(CONFIG, steps=20, batch_size=4), tmp_path))
    items = [item for batch in task.seen for item in batch]
    epochs = [items[begin : begin + 10] for begin in range(0, 80, 10)]
    assert all(Counter(epoch) == Counter(range(10)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 8
    assert list(range(10)) not in epochs


def test_the_model_learns_and_its_average_is_what_is_validated(tmp_path):
    task = tiny.Regression()
    config = replace(CONFIG, steps=120, learning_rate=0.1, gradient_clip=10.0)
    tiny.run(train(task, config, tmp_path))
    losses = [float(row["validation_loss"]) for row in tiny.log(tmp_path)]
    assert losses[-1] < 0.1 * losses[0]
    average = nn.Linear(3, 2, dtype=torch.float64)
    tensors = tiny.state(tmp_path)[1]
    average.load_state_dict({name: tensors[f"average.{name}"] for name in ("weight", "bias")})
    repeated = task.validation_loss(average, seeded(CONFIG.seed, 2))["loss"]
    assert repeated.item() == losses[-1]


def test_buffers_of_the_average_follow_the_model(tmp_path):
    class Counting(tiny.Regression):
        def __init__(self):
            super().__init__()
            self.model.register_buffer("calls", torch.zeros((), dtype=torch.int64))

        def loss(self, model, items, generators):
            model.calls += 1
            return super().loss(model, items, generators)

    tiny.run(train(Counting(), CONFIG, tmp_path))
    assert checkpoint.load(tmp_path / BEST, "regression")[1]["calls"] == 12


def test_validation_repeats_itself(tmp_path):
    """If the weights do not change, all validations of clouds give the same loss."""
    config = replace(CONFIG, learning_rate=1e-30, validate_every=3)
    tiny.run(train(tiny.cloud_objective(), config, tmp_path))
    rows = tiny.log(tmp_path)
    assert len(rows) == 4
    assert len({row["validation_loss"] for row in rows}) == 1
    assert len({row["train_loss"] for row in rows}) == 4


def test_the_best_checkpoint_is_the_best(tmp_path):
    config = replace(CONFIG, steps=3, validate_every=1)
    tiny.run(train(Scripted([3.0, 1.0, 2.0]), config, tmp_path / "all"))
    tiny.run(train(Scripted([3.0, 1.0]), config, tmp_path / "two"), until=2)
    header, best = checkpoint.load(tmp_path / "all" / BEST, "regression")
    second = tiny.state(tmp_path / "two")[1]
    last = tiny.state(tmp_path / "all")[1]
    assert header["training"]["step"] == 2 and header["training"]["validation_loss"] == 1.0
    assert torch.equal(best["weight"], second["average.weight"])
    assert not torch.equal(best["weight"], last["average.weight"])


def test_the_best_checkpoint_is_compared_with_those_before_a_resumption(tmp_path):
    config = replace(CONFIG, steps=4, validate_every=1)
    tiny.run(train(Scripted([3.0, 1.0]), config, tmp_path), until=2)
    tiny.run(train(Scripted([1.5, 1.0]), config, tmp_path, resume=True))
    assert checkpoint.load(tmp_path / BEST, "regression")[0]["training"]["step"] == 2


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_validation_loss_that_is_not_finite_costs_no_checkpoint(tmp_path, value):
    config = replace(CONFIG, steps=3, validate_every=1)
    message = refusal(Scripted([8.0, 7.0, value]), config, tmp_path)
    assert f"the validation loss must be finite, got {value} at step 3" in message
    assert checkpoint.load(tmp_path / BEST, "regression")[0]["training"]["step"] == 2
    assert tiny.state(tmp_path)[0] == 2


@pytest.mark.parametrize("left", ["best.safetensors", "metrics.csv"])
def test_a_run_whose_state_was_deleted_is_not_overwritten(tmp_path, left):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path))
    for path in tmp_path.iterdir():
        if path.name != left:
            path.unlink()
    before = (tmp_path / left).read_bytes()
    assert "already contains a run" in refusal(tiny.Regression(), CONFIG, tmp_path)
    assert (tmp_path / left).read_bytes() == before


def test_a_state_without_its_description_is_refused(tmp_path):
    checkpoint.save(tmp_path / "last.safetensors", "training-state", {}, {})
    with pytest.raises(InputError, match="is not a complete training state"):
        next(train(tiny.Regression(), CONFIG, tmp_path, resume=True))


@pytest.mark.parametrize("content", ["", "garbage\n1\n", "step,loss\none,two\n"])
def test_a_damaged_log_is_named(tmp_path, content):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path))
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(InputError, match=r"metrics\.csv is not the log of a training run"):
        next(train(tiny.Regression(), CONFIG, tmp_path, resume=True))


def test_the_best_weights_are_ready_for_use_and_say_how_they_were_made(tmp_path):
    tiny.run(train(tiny.cloud_objective(source="tiny.hdf5/chair"), CONFIG, tmp_path))
    model = PointCloudGenerator.from_pretrained(tmp_path / BEST)
    assert model.config == tiny.config()
    record = checkpoint.load(tmp_path / BEST, model_kind := "point-cloud-generator")[0]["training"]
    assert model_kind == tiny.cloud_objective().kind
    assert (record["source"], record["shapes"], record["seed"]) == ("tiny.hdf5/chair", 6, 3)
    assert record["learning_rate"] == CONFIG.learning_rate


def refusal(objective, config, folder, **options):
    with pytest.raises(InputError) as caught:
        tiny.run(train(objective, config, folder, **options))
    return str(caught.value)


def test_a_run_is_not_overwritten(tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    message = refusal(tiny.Regression(), CONFIG, tmp_path)
    assert message == f"{tmp_path} already contains a run: resume the run or choose another folder"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_first_difference_to_a_run_is_named(tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    changed = replace(CONFIG, steps=20, batch_size=4)
    last = tmp_path / LAST
    assert refusal(tiny.Regression(), changed, tmp_path, resume=True) == (
        f"{last} cannot be resumed: training.batch_size must be 3 as in the saved run, got 4"
    )
    almost = replace(CONFIG, learning_rate=0.0201)
    assert "training.learning_rate must be 0.02 as" in refusal(
        tiny.Regression(), almost, tmp_path, resume=True
    )
    for part, key in (("data", "sha256"), ("model", "inputs")):
        other = tiny.Regression()
        other.description[part][key] = "other"
        assert f": {part}.{key} must be" in refusal(other, CONFIG, tmp_path, resume=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_generator_and_other_clouds_are_named(tmp_path):
    tiny.run(train(tiny.cloud_objective(), CONFIG, tmp_path))
    message = refusal(tiny.cloud_objective("gaussian"), CONFIG, tmp_path, resume=True)
    assert ": model.prior.name must be 'flow' as in the saved run, got 'gaussian'" in message
    other = tiny.cloud_objective()
    moved = type(other)(other.model, other.train + 0.01, other.validation, StepClouds(16, 2))
    assert ": data.sha256 must be" in refusal(moved, CONFIG, tmp_path, resume=True)


def test_a_damaged_checkpoint_is_not_resumed_and_not_overwritten(tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path), until=5)
    content = (tmp_path / LAST).read_bytes()
    (tmp_path / LAST).write_bytes(content[:-8])
    message = refusal(tiny.Regression(), CONFIG, tmp_path, resume=True)
    assert str(tmp_path / LAST) in message and "complete safetensors file" in message
    assert (tmp_path / LAST).read_bytes() == content[:-8]


def test_weights_are_not_a_training_state(tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path))
    shutil.copy(tmp_path / BEST, tmp_path / LAST)
    message = refusal(tiny.Regression(), CONFIG, tmp_path, resume=True)
    assert "expected kind 'training-state', got 'regression'" in message


def test_a_diverged_run_keeps_its_last_checkpoint(tmp_path):
    config = replace(CONFIG, validate_every=1)
    message = refusal(Diverging(), config, tmp_path)
    assert "the gradient norm must be finite, got nan at step 2" in message and "0.02" in message
    tiny.run(train(tiny.Regression(), config, tmp_path / "sound"), until=2)
    assert tiny.state(tmp_path)[0] == 2
    assert tiny.same(tiny.state(tmp_path)[1], tiny.state(tmp_path / "sound")[1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"validate_every": -1}, "validate_every must be at least 1, got -1"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number greater than 0, got 0.0"),
        (
            {"learning_rate": math.nan},
            "learning_rate must be a finite number greater than 0, got nan",
        ),
        ({"gradient_clip": -1.0}, "gradient_clip must be a finite number greater than 0, got -1.0"),
        ({"ema_decay": 1.5}, "ema_decay must be a number from 0 to 1, got 1.5"),
        ({"micro_batch": -1}, "micro_batch must be at least 0, got -1"),
        ({"batch_size": 2**20 + 1}, "batch_size must be at most 1048576 items, got 1048577"),
        ({"ema_decay": math.nan}, "ema_decay must be a number from 0 to 1, got nan"),
    ],
)
def test_a_configuration_out_of_range_is_refused(change, words):
    with pytest.raises(InputError) as caught:
        replace(CONFIG, **change)
    assert str(caught.value) == words
    assert [caught.value.parameter] == list(change)


def test_an_empty_training_set_is_refused(tmp_path):
    task = tiny.Regression()
    task.size = 0
    assert refusal(task, CONFIG, tmp_path) == "the training set must have at least 1 item, got 0"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"points": 41}, "points per cloud must be from 2 to 40"),
        ({"points": 1}, "points per cloud must be from 2 to 40"),
        (
            {"levels_per_cloud": 0},
            "levels_per_cloud must be a divisor of 16, the number of points per cloud, got 0",
        ),
        (
            {"levels_per_cloud": 5},
            "levels_per_cloud must be a divisor of 16, the number of points per cloud, got 5",
        ),
    ],
)
def test_impossible_clouds_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        tiny.cloud_objective(**options)


def test_validation_clouds_with_too_few_points_are_refused_before_training():
    sound = tiny.cloud_objective()
    with pytest.raises(InputError, match="points per cloud must be from 2 to 12"):
        type(sound)(sound.model, sound.train, tiny.clouds(3, 12), StepClouds(16, 2))


def test_the_log_is_read_by_plotting_tools(tmp_path):
    tiny.run(train(tiny.cloud_objective(), CONFIG, tmp_path))
    table = np.genfromtxt(tmp_path / LOG, names=True, delimiter=",")
    names = ("step", "seconds", "learning_rate", "train_loss", "validation_loss", "validation_kl")
    assert set(names) <= set(table.dtype.names)
    assert table["step"].tolist() == [5, 10, 12]
    assert table["learning_rate"].tolist() == [CONFIG.learning_rate_at(n) for n in (4, 9, 11)]
    assert (np.diff(table["seconds"]) > 0).all()
    with (tmp_path / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in table.dtype.names:
        assert [float(row[name]) for row in rows] == table[name].tolist()


def test_progress_tells_every_step_and_every_row(tmp_path):
    seen = list(train(tiny.Regression(), CONFIG, tmp_path))
    assert [(each.step, each.steps) for each in seen] == [(n, 12) for n in range(1, 13)]
    assert [each.step for each in seen if each.row is not None] == [5, 10, 12]
    logged = [float(row["validation_loss"]) for row in tiny.log(tmp_path)]
    assert [each.row["validation_loss"] for each in seen if each.row is not None] == logged


def test_bfloat16_keeps_float32_weights_and_nearly_the_loss(tmp_path):
    losses = {}
    for bfloat16 in (False, True):
        folder = tmp_path / str(bfloat16)
        config = replace(CONFIG, bfloat16=bfloat16, learning_rate=1e-3)
        tiny.run(train(tiny.cloud_objective(), config, folder))
        losses[bfloat16] = [float(row["train_loss"]) for row in tiny.log(folder)]
        assert all(t.dtype == torch.float32 for t in tiny.state(folder)[1].values())
    assert losses[True] != losses[False]
    assert losses[True] == pytest.approx(losses[False], rel=0.02)


def test_compilation_keeps_the_names_of_the_weights(tmp_path, monkeypatch):
    """A stand-in records what is compiled, because the compiler takes too long for a test."""
    compiled = []

    def stand_in(function, **_):
        compiled.append(function.__self__)
        return function

    monkeypatch.setattr(torch, "compile", stand_in)
    tiny.run(train(tiny.cloud_objective(), replace(CONFIG, compile=True), tmp_path / "compiled"))
    tiny.run(train(tiny.cloud_objective(), CONFIG, tmp_path / "plain"))
    assert [type(module).__name__ for module in compiled] == [
        "PointNetEncoder", "GatedPointNetwork", "FlowPrior",
    ]  # fmt: skip
    assert tiny.same(tiny.state(tmp_path / "compiled")[1], tiny.state(tmp_path / "plain")[1])
    PointCloudGenerator.from_pretrained(tmp_path / "compiled" / BEST)
