"""Diffusion for 3D: the shared core and the point-cloud head.

    import pcdiff
    clouds = pcdiff.PointCloudGenerator.from_pretrained("chair").sample(16, generator=g)

`import pcdiff` is lazy: torch is imported only when a name that needs it is first used.
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
