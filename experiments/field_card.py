"""Write the model card of weights that `experiments.train_field` made."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from experiments import calibrate_success, field_evaluation
from grasp.field.trained import GraspField
from pcdiff.tables import markdown_table

BEGINNING = """# Model card: `{name}`

This `GraspField` is for parallel jaws. It consists of an energy over gripper poses
({energy:,} weights) and a probability of robust success ({success:,} weights), stored as float32
safetensors. The weights have the MIT licence, like the code. They were trained with the Franka
Hand, the Robotiq 2F-85 and 2F-140, and random parallel jaws, and serve any parallel jaw through its
description. The probability is that of success under physics protocol {protocol} with what nobody
knows drawn at random: friction, creep, mass, centre of mass, force and pose errors
(`grasp/physics/uncertainty-1.toml`).

## Training

`make train-field` makes these weights from nothing. No scanned mesh and no other data is needed.
The recipe is:

```json
{recipe}
```

One object in twelve, chosen by its geometry, is held out for validation. Machine: {machine}.

{stages}

{labels}

{curves}

## Calibration

The probabilities were calibrated on grasps that the field returned for validation objects, each
tried under its own draw.

{calibration}

## Evaluation

On objects and grippers of seeds that no training used, by the pipeline itself. "final" is these
weights.

{evaluation}
"""


def model_card(output: Path, record: dict[str, Any], machine: str) -> str:
    """Return the model card in Markdown.

    Args:
        output: Folder of a finished run of `experiments.train_field`.
        record: Content of its file `stages.json`.
        machine: The machine in words.
    """
    weights = output / "panda.safetensors"
    field = GraspField.from_pretrained(weights)
    sizes = {
        name: sum(each.numel() for each in network.parameters())
        for name, network in (("energy", field.energy), ("success", field.success))
    }
    return BEGINNING.format(
        name=weights.stem,
        **sizes,
        protocol=field.config.protocol,
        recipe=json.dumps(record["recipe"], indent=1),
        machine=machine,
        stages=_stages(record),
        labels=_labels(output),
        curves=_curves(output),
        calibration=calibrate_success.table(_read(output / "calibration.json")),
        evaluation=field_evaluation.table(
            _read(output / "evaluation.json"), record["recipe"]["evaluation"]["grasps"]
        ),
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _stages(record: dict[str, Any]) -> str:
    rows = [["stage", "seconds of its last run", "SHA-256 of its results"]]
    for name, stage in record["stages"].items():
        rows.append([name, f"{stage['seconds']:,}", f"`{stage['sha256'][:16]}`"])
    return markdown_table(rows)


def _labels(output: Path) -> str:
    """Return a table of the labels by set and by whether a field drew them."""
    rows = [["labels", "set", "grippers", "grasps", "succeed, %"]]
    for title, pattern in (("candidates", "grasps/*"), ("samples of the field", "samples/*/*")):
        for folder in sorted((output / "sets").iterdir()):
            cards = [_read(path) for path in sorted(folder.glob(f"{pattern}/card.json"))]
            grasps = sum(card["grasps"] for card in cards)
            if grasps:
                hands = len({card["gripper"] for card in cards})
                successes = sum(card["successes"] for card in cards)
                rows.append(
                    [
                        title,
                        folder.name,
                        str(hands),
                        f"{grasps:,}",
                        f"{100 * successes / grasps:.1f}",
                    ]
                )
    return markdown_table(rows)


def _curves(output: Path) -> str:
    """Return a table of the best validation losses of both networks."""
    rows = [["network", "best step", "training seconds", "validation loss there"]]
    for name in ("energy", "success"):
        with (output / name / "metrics.csv").open(encoding="utf-8") as file:
            entries = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        best = min(entries, key=lambda row: row["validation_loss"])
        parts = ", ".join(
            f"{key.removeprefix('validation_')} {value:.4f}"
            for key, value in best.items()
            if key.startswith("validation_")
        )
        rows.append([name, f"{best['step']:.0f}", f"{best['seconds']:,.0f}", parts])
    return markdown_table(rows)
