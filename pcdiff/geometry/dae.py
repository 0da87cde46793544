"""Reader of COLLADA files; it uses pycollada and applies the transforms of the scene."""

from __future__ import annotations

import importlib.util
import io
import re
import zipfile
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError, cause_of
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import MAXIMUM_FACES, check_count, read_bytes
from pcdiff.geometry.polygons import triangulate


def read_dae(path: Path) -> Geometry:
    """Read a mesh from a COLLADA file in the frame of the scene; axes are not converted.

    For the errors, see `read_geometry`. Parts that pycollada cannot read are ignored with a remark.
    """
    if importlib.util.find_spec("collada") is None:
        raise InputError(f"reading {path} needs the package pycollada, which is not installed")
    import collada

    content = read_bytes(path)
    # pycollada converts NaN to 0.
    if re.search(rb"[\s>]nan[\s<]", content, re.IGNORECASE):
        raise InputError(f"{path} has a number that is not finite: NaN")
    # pycollada also unpacks zip archives, and an XML parser expands and loads declared entities.
    if zipfile.is_zipfile(io.BytesIO(content)):
        raise InputError(f"{path} must be a COLLADA text, got a zip archive: unpack it first")
    if re.search(rb"<!\s*(DOCTYPE|ENTITY)", content.replace(b"\0", b""), re.IGNORECASE):
        raise InputError(f"{path} must be plain COLLADA, got declarations of a document type")
    try:
        document = collada.Collada(io.BytesIO(content), ignore=[collada.common.DaeError])
        geometry = _read_scene(path, document)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is damaged or has no scene ({cause_of(error)})") from error
    errors = document.errors
    if errors and not len(geometry.vertices):
        raise InputError(f"{path} is damaged, so that no mesh remains: {cause_of(errors[0])}")
    return geometry


def _read_scene(path: Path, document: object) -> Geometry:
    import collada

    vertices, faces = [np.empty((0, 3))], [np.empty((0, 3), np.int64)]
    remarks: tuple[str, ...] = ()
    names, owners = [], [np.empty(0, np.int64)]
    corners = triangles = 0
    for placed in document.scene.objects("geometry"):  # type: ignore[attr-defined]
        matrix = np.asarray(placed.matrix, np.float64)
        names.append(str(placed.original.name or placed.original.id))
        for part in placed.original.primitives:
            if isinstance(part, collada.triangleset.TriangleSet):
                lengths = np.full(len(part.vertex_index), 3)
            elif isinstance(part, collada.polylist.Polylist):
                lengths = np.asarray(part.vcounts, np.int64)
            else:  # lines
                continue
            if part.vertex is None or not len(lengths):
                continue
            points = np.asarray(part.vertex, np.float64)[part.vertex_index.reshape(-1)]
            # A scene may contain one mesh many times, so the size of the file is no limit.
            triangles += int(np.maximum(lengths - 2, 0).sum())
            check_count(path, triangles, MAXIMUM_FACES, "faces")
            points = points @ matrix[:3, :3].T + matrix[:3, 3]
            split = triangulate(path, points, lengths, np.arange(len(points)))
            # A mirroring transform turns each triangle inside out.
            outward = np.linalg.det(matrix) > 0
            faces.append((split.faces if outward else split.faces[:, ::-1]) + corners)
            vertices.append(points)
            owners.append(np.full(len(split.faces), len(names) - 1))
            remarks += split.remarks
            corners += len(points)
    errors = document.errors  # type: ignore[attr-defined]
    if errors:
        remarks += (f"ignored {len(errors)} damaged parts, first: {cause_of(errors[0])}",)
    unit = document.assetInfo.unitmeter  # type: ignore[attr-defined]
    return Geometry(
        np.concatenate(vertices),
        np.concatenate(faces),
        unit=unit,
        remarks=remarks,
        names=tuple(names),
        owners=np.concatenate(owners),
    )
