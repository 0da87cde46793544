"""Sizes of a new grasp field from files of settings and single choices."""

from __future__ import annotations

import dataclasses

import pytest

from grasp.field.architecture import field_config
from grasp.field.configuration import FieldConfig
from grasp.field.trained import GraspField
from pcdiff.errors import InputError


def settings(tmp_path, text):
    (tmp_path / "s.toml").write_text(text)
    return tmp_path / "s.toml"


def test_settings_replace_defaults_and_leave_the_others(tmp_path):
    path = settings(tmp_path, "sigma_max = 0.9\n[energy]\nwidth = 16\nlayers = 1\n")
    default = FieldConfig()
    config = field_config(config=path)
    energy = dataclasses.replace(default.energy, width=16, layers=1)
    assert config == dataclasses.replace(default, sigma_max=0.9, energy=energy)
    assert field_config() == default
    assert FieldConfig.from_dict(config.as_dict()) == config
    model = GraspField.initialized(dataclasses.replace(config), 0)
    assert model.config.energy.width == 16


def test_a_width_serves_the_networks_of_the_architecture(tmp_path):
    sized = field_config(width=48)
    assert (sized.energy.width, sized.success.width) == (48, 48)
    assert sized.paper == FieldConfig().paper
    paper = field_config(config=settings(tmp_path, 'architecture = "paper"'), width=48)
    assert (paper.architecture, paper.paper.width, paper.success.width) == ("paper", 48, 48)
    assert paper.energy == FieldConfig().energy
    assert field_config("paper").architecture == "paper"


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("widht = 3", {}, "the settings has the unknown entry widht"),
        ("[energy]\nwidht = 3", {}, "energy has the unknown entry widht, expected width, layers"),
        ("[energy]\nwidth = 0", {}, "energy.width must be a whole number from 1 to 65536, got 0"),
        ("[energy]\nsymmetric = 1", {}, "energy.symmetric must be true or false, got 1"),
        ('length = "long"', {}, "the settings.length must be a finite number"),
        ("length = -1.0", {}, "length and the noise levels must be above 0"),
        ('architecture = "unet"', {}, "the architecture must be default or paper, got 'unet'"),
        ('architecture = "paper"', {"architecture": "default"}, "must be stated once"),
        ("[success]\nwidth = 3", {"width": 4}, "also have success.width"),
        ("grippers = {}", {}, "unknown entry grippers"),
    ],
)
def test_wrong_settings_are_named(text, options, sentence, tmp_path):
    path = settings(tmp_path, text)
    with pytest.raises(InputError, match=sentence) as error:
        field_config(config=path, **options)
    assert str(path) in str(error.value)
