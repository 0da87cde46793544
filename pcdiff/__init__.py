"""Diffusion for 3D: the generator of point clouds, and the core that `grasp` also uses.

    import pcdiff
    clouds = pcdiff.PointCloudGenerator.from_pretrained("chair").sample(16, seed=0)

`import pcdiff` is fast: it imports torch only when a name that needs torch is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcdiff.clouds.configuration import GeneratorConfig
    from pcdiff.clouds.generator import PointCloudGenerator
    from pcdiff.errors import InputError

__all__ = ["GeneratorConfig", "InputError", "PointCloudGenerator"]

_HOMES = {
    "GeneratorConfig": "pcdiff.clouds.configuration",
    "InputError": "pcdiff.errors",
    "PointCloudGenerator": "pcdiff.clouds.generator",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pcdiff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"Any", "TYPE_CHECKING"})
