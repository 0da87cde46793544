"""Sizes of a new generator from files of settings and single choices."""

from __future__ import annotations

import json

import pytest

from pcdiff.clouds.architecture import model_choices
from pcdiff.clouds.canonical import write_clouds
from pcdiff.clouds.components import SHIPPED, Choice
from pcdiff.clouds.configuration import GeneratorConfig
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.clouds.objective import StepClouds
from pcdiff.clouds.training import NewModel, TrainingClouds, train_on_file
from pcdiff.diffusion.schedules import Cosine, Linear
from pcdiff.errors import InputError
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.settings import read_settings
from tests import tiny

TOML = """
latent = 6
kl_weight = 0.5
prior = {name = "flow", options = {layers = 2, hidden = 8}}
schedule = {name = "linear", steps = 1200}
[network]
options = {widths = [8, 12]}
[encoder]
name = "pointnet"
options = {widths = [8, 16], head = 4}
"""


@pytest.mark.parametrize("ending", [".toml", ".json"])
def test_every_setting_reaches_the_model(ending, tmp_path):
    path = tmp_path / f"s{ending}"
    path.write_text(TOML)
    if ending == ".json":
        (tmp_path / "s.toml").write_text(TOML)
        path.write_text(json.dumps(read_settings(tmp_path / "s.toml")))
    config = GeneratorConfig(**NewModel(config=path).choices())
    assert config == GeneratorConfig(
        latent=6,
        network=Choice("gated", {"widths": [8, 12]}),
        encoder=Choice("pointnet", {"widths": [8, 16], "head": 4}),
        prior=Choice("flow", {"layers": 2, "hidden": 8}),
        kl_weight=0.5,
        schedule=Linear(steps=1200),
    )
    model = PointCloudGenerator.initialized(config, 0)
    shapes = [tuple(layer.linear.weight.shape) for layer in model.network.layers]
    assert shapes == [(8, 3), (12, 8), (3, 12)]


@pytest.mark.parametrize(
    ("width", "widths"),
    [(64, [16, 32, 64, 32, 16]), (512, [128, 256, 512, 256, 128]), (1, [1, 1, 1, 1, 1])],
)
def test_a_width_scales_the_widths_of_the_network(width, widths):
    assert model_choices({}, width) == {"network": Choice("gated", {"widths": widths})}


def test_a_width_is_the_option_of_a_network_that_has_one():
    def slim(latent, width=8, depth=2):
        raise NotImplementedError

    components = SHIPPED.extended(networks={"slim": slim})
    made = model_choices({"network": {"name": "slim", "options": {"depth": 3}}}, 24, components)
    assert made["network"] == Choice("slim", {"depth": 3, "width": 24})
    components = SHIPPED.extended(networks={"fixed": lambda latent: None})
    with pytest.raises(InputError, match="network 'fixed' has no option width"):
        model_choices({"network": "fixed"}, 24, components)


def test_no_settings_are_the_defaults():
    assert NewModel().choices() == {}
    assert NewModel(schedule="cosine").choices() == {"schedule": Cosine()}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("widht = 3", "unknown entry widht, expected latent, network"),
        ("[network]\nwidths = [3]", "network has the unknown entry widths, expected name, options"),
        ("[network.options]\nwidht = [3]", "network.options has the unknown entry widht"),
        ("[encoder.options]\ndepth = 3", "encoder.options has the unknown entry depth"),
        ("[network.options]\nwidths = [3, 0]", "a list of whole numbers from 1 to 65536, got"),
        ("[network.options]\nwidths = 3", "network.options.widths must be a list"),
        ('[network]\nname = "unet"', "network.name must be one of gated, got 'unet'"),
        ('prior = "vae"', "prior.name must be one of flow, gaussian, none, got 'vae'"),
        ('prior = {name = "none", options = {layers = 2}}', "has the unknown entry layers"),
        ("latent = 1.5", "the settings.latent must be a whole number"),
        ("latent = true", "the settings.latent must be a whole number"),
        ("kl_weight = inf", "the settings.kl_weight must be a finite number"),
        ("kl_weight = 1" + "0" * 400, "the settings.kl_weight must be a finite number"),
        ("latent = 0x" + "f" * 1900, "the settings.latent must be a whole number"),
        ("[prior]\nname = [1]", r"prior.name must be one of .*, got \[1\]"),
        ('schedule = "sqrt"', "schedule.name must be one of"),
        ("schedule = 3", "schedule must be a table or a name, got 3"),
        ("[schedule]\nname = [1]", r"schedule.name must be one of .*, got \[1\]"),
        ("a." * 1000 + "a = 1", "lines of at most 2000 characters"),
        ('schedule = {name = "cosine", sigma = 2}', "schedule has the unknown entry sigma"),
        ("latent = ", "is not valid TOML"),
        ("network = 3", "network must be a table, got 3"),
    ],
)
def test_wrong_settings_are_named(settings, sentence, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(settings)
    with pytest.raises(InputError, match=sentence) as error:
        NewModel(config=path).choices()
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("s.yaml", "", r"must end in .toml or .json"),
        ("s.json", "[]", "top level .* must be a table"),
        ("s.json", '{"latent": 3, "latent": 4}', "the key 'latent' more than once"),
        ("s.json", "{", "the text is not JSON: .* at line 1"),
    ],
)
def test_wrong_files_are_named(name, content, sentence, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_settings(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        read_settings(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("choice", "settings", "parameter"),
    [
        ({"prior": "gaussian"}, 'prior = "flow"', "prior"),
        ({"kl_weight": 1.0}, "kl_weight = 1.0", "kl_weight"),
        ({"schedule": "linear"}, 'schedule = "linear"', "schedule"),
        ({"width": 8}, "network = {options = {widths = [3]}}", "width"),
    ],
)
def test_nothing_is_stated_twice(choice, settings, parameter, tmp_path):
    (tmp_path / "s.toml").write_text(settings)
    with pytest.raises(InputError, match="must be stated once") as error:
        NewModel(**choice, config=tmp_path / "s.toml").choices()
    assert error.value.parameter == parameter


def test_training_uses_the_settings_and_tells_a_callback(tmp_path):
    (tmp_path / "s.toml").write_text(TOML)
    clouds = {"chair": {"train": tiny.clouds(4), "val": tiny.clouds(2, seed=1)}}
    write_clouds(tmp_path / "c.hdf5", clouds)
    config = TrainingConfig(steps=2, batch_size=2, validate_every=2, bfloat16=False)
    steps = []
    finished = train_on_file(
        TrainingClouds(tmp_path / "c.hdf5", use=StepClouds(16, 1)),
        NewModel(config=tmp_path / "s.toml"),
        config,
        tmp_path / "run",
        callback=lambda progress: steps.append(progress.step),
    )
    assert steps == [1, 2]
    assert PointCloudGenerator.from_pretrained(str(finished.weights)).config.latent == 6
