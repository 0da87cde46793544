"""Random parameters of one object, stored by name, and a table of materials."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Material:
    """The material of an object.

    Attributes:
        density: Lowest and highest density in kg/m³ of the solid that the mesh encloses. For a
            solid that represents a hollow or mixed object, such as a filled can, the density is
            the total mass of the object divided by the volume of the solid.
        friction: Lowest and highest coefficient of friction against a gripper's pads.
    """

    density: tuple[float, float]
    friction: tuple[float, float]


MATERIALS: dict[str, Material] = {
    "ceramic": Material((2200, 2500), (0.4, 0.7)),
    "glass": Material((2400, 2600), (0.3, 0.6)),
    "steel": Material((7700, 7900), (0.3, 0.6)),
    "aluminium": Material((2650, 2800), (0.3, 0.6)),
    "plastic": Material((900, 1250), (0.3, 0.7)),
    "rubber": Material((1000, 1300), (0.7, 1.0)),
    "wood": Material((450, 800), (0.4, 0.8)),
    "wood and steel": Material((1200, 2600), (0.4, 0.7)),
    "plastic and steel": Material((1200, 2400), (0.3, 0.7)),
    "foam": Material((40, 150), (0.6, 1.0)),
    "hollow plastic": Material((200, 500), (0.3, 0.7)),
    "appliance": Material((500, 1100), (0.3, 0.7)),
    "filled carton": Material((120, 700), (0.4, 0.8)),
    "filled metal": Material((850, 1100), (0.3, 0.6)),
    "filled plastic": Material((850, 1100), (0.3, 0.7)),
    "filled glass": Material((1100, 1400), (0.3, 0.6)),
    "fruit": Material((850, 1000), (0.5, 0.9)),
}


@dataclass
class Draw:
    """Draws random parameters for one object, and stores each parameter by its name.

    Attributes:
        generator: Source of all randomness.
        values: Values drawn so far, by name. Lengths are in metres, angles in radians.
        density: Density in kg/m³; NaN until a material is drawn.
        friction: Coefficient of friction; NaN until a material is drawn.
    """

    generator: np.random.Generator
    values: dict[str, float | int | str] = field(default_factory=dict)
    density: float = math.nan
    friction: float = math.nan

    def uniform(self, name: str, low: float, high: float) -> float:
        """Draw a number uniformly from [low, high) and store it."""
        value = float(self.generator.uniform(low, high))
        self._keep(name, value)
        return value

    def spread(self, name: str, low: float, high: float) -> float:
        """Draw a number from [low, high) whose logarithm is uniformly distributed, and store it."""
        value = math.exp(self.generator.uniform(math.log(low), math.log(high)))
        self._keep(name, value)
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """Draw an integer from low to high, both included, and store it."""
        value = int(self.generator.integers(low, high + 1))
        self._keep(name, value)
        return value

    def choice(self, name: str, *options: str) -> str:
        """Draw one of the options, each with equal probability, and store it."""
        value = options[int(self.generator.integers(len(options)))]
        self._keep(name, value)
        return value

    def material(self, *names: str) -> str:
        """Draw one of the named materials, and then draw the object's density and friction."""
        name = self.choice("material", *names)
        material = MATERIALS[name]
        self.density = self.uniform("density", *material.density)
        self.friction = float(self.generator.uniform(*material.friction))
        return name

    def _keep(self, name: str, value: float | int | str) -> None:
        if name in self.values:
            raise ValueError(f"the parameter {name} must be drawn only once, got a second draw")
        self.values[name] = value
