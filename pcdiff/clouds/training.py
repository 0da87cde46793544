"""The training of a `PointCloudGenerator` on a canonical file of clouds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from pcdiff.clouds.architecture import model_choices
from pcdiff.clouds.canonical import read_clouds
from pcdiff.clouds.configuration import GeneratorConfig, Standardization
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.clouds.objective import CloudObjective, StepClouds
from pcdiff.clouds.scale import normalize_to_box
from pcdiff.diffusion.schedules import SCHEDULES
from pcdiff.errors import InputError
from pcdiff.learning import distributed
from pcdiff.learning.callbacks import TrainingCallback
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.progress import FinishedRun, train_with_progress
from pcdiff.learning.settings import read_settings
from pcdiff.learning.trainer import check_run

POINTS_IN_CACHE = 4096
"""Number of points for which the default network's activations fit into typical CPU caches."""


@dataclass(frozen=True)
class TrainingClouds:
    """The training clouds, and the use of each cloud in a training step.

    Attributes:
        file: Canonical HDF5 file with the split "train" for training and the split "val" for
            validation.
        category: Name of the category, e.g. "chair", or its synset id.
        use: Use of each cloud in a training step.
    """

    file: Path
    category: str = "chair"
    use: StepClouds = field(default_factory=StepClouds)


@dataclass(frozen=True)
class NewModel:
    """The choices that define a new model with random initial weights.

    A choice of None means the default in `GeneratorConfig`.

    Attributes:
        prior: Prior of the latent; "none" selects an auto-encoder.
        kl_weight: Weight of the KL divergence between the encoder's posterior and the prior.
        schedule: Name of the noise schedule.
        width: Width of the network that predicts the velocity; see
            `pcdiff.clouds.architecture.model_choices`.
        config: File of settings (.toml or .json) for what the other choices do not state; see
            `pcdiff.clouds.architecture`.

    Raises:
        InputError: If `kl_weight` is not None for an auto-encoder.
    """

    prior: Literal["flow", "gaussian", "none"] | None = None
    kl_weight: float | None = None
    schedule: Literal["linear", "cosine"] | None = None
    width: int | None = None
    config: Path | None = None

    def __post_init__(self) -> None:
        if self.prior == "none" and self.kl_weight is not None:
            raise InputError(
                "kl_weight must be absent for an auto-encoder (prior 'none'), which has no KL "
                f"divergence, got {self.kl_weight}",
                parameter="kl_weight",
            )

    def stated(self) -> dict[str, Any]:
        """Return the choices that are not None, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def choices(self) -> dict[str, Any]:
        """Return all choices and settings as keyword arguments of `GeneratorConfig`.

        Raises:
            InputError: If the settings cannot be read or are wrong, or a choice is also stated in
                the settings.
        """
        settings = {} if self.config is None else read_settings(self.config)
        for name in ("prior", "kl_weight", "schedule"):
            if getattr(self, name) is not None and name in settings:
                raise InputError(
                    f"{name} must be stated once, but {self.config} also states it", parameter=name
                )
        try:
            choices = model_choices(settings, self.width)
        except InputError as error:
            if self.config is None:
                raise
            raise InputError(f"{self.config}: {error}", parameter=error.parameter) from error
        for name in ("prior", "kl_weight"):
            if getattr(self, name) is not None:
                choices[name] = getattr(self, name)
        if self.schedule is not None:
            choices["schedule"] = SCHEDULES[self.schedule]()
        return choices


def train_on_file(
    clouds: TrainingClouds,
    model: NewModel | str,
    config: TrainingConfig,
    output: Path,
    device: str = "cpu",
    resume: bool = False,
    *,
    callback: TrainingCallback | None = None,
    tensorboard: bool = False,
) -> FinishedRun:
    """Train a generator, and write the files of `pcdiff.learning.progress.train_with_progress`.

    Under `torchrun`, all processes train together.

    Args:
        clouds: The training clouds.
        model: Definition of a new model, or the name or file of initial weights.
        config: The settings of the run.
        output: Folder of the run; created if missing.
        device: Device to train on.
        resume: True to continue or extend the run in `output`, or to start a run if the folder has
            no run.
        callback: Function that is called after each step; see `pcdiff.learning.callbacks`.
        tensorboard: True to write event files for TensorBoard beside the log.

    Raises:
        InputError: If the clouds or the weights cannot be read, or a number is out of range; also
            for the reasons listed in `pcdiff.learning.trainer.train`.
    """
    check_run(output, config, resume)
    choices = model.choices() if isinstance(model, NewModel) else {}
    training, validation = (_box_normalised(clouds, split) for split in ("train", "val"))
    if isinstance(model, NewModel):
        made = GeneratorConfig(standardization=Standardization.of(training), **choices)
        generator = PointCloudGenerator.initialized(made, config.seed)
    else:
        generator = PointCloudGenerator.from_pretrained(model).train().requires_grad_(True)
    objective = CloudObjective(
        generator,
        training,
        validation,
        clouds.use,
        source=f"{clouds.file.name}/{clouds.category}",
        initialized_from=None if isinstance(model, NewModel) else model,
    )
    with distributed.processes(device):
        return train_with_progress(
            objective, config, output, device, resume, callback=callback, tensorboard=tensorboard
        )


def fastest_micro_batch(points: int, device: str) -> int:
    """Return the value of `TrainingConfig.micro_batch` that was fastest in a test on one CPU.

    Args:
        points: Number of points per cloud in a training step.
        device: Device to train on.

    Returns:
        The number of clouds whose activations fit into a CPU's caches, or 0 (the whole batch) on
        any other device.
    """
    return max(1, POINTS_IN_CACHE // points) if device == "cpu" else 0


def _box_normalised(clouds: TrainingClouds, split: str) -> Tensor:
    read = read_clouds(clouds.file, clouds.category, split)
    try:
        return normalize_to_box(read)[0]
    except InputError as error:
        raise InputError(
            f"{clouds.file}, category {clouds.category}, split {split}: {error}"
        ) from error
