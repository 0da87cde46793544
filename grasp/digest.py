"""Digests of settings: results made with the same settings carry the same digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """Return the SHA-256 of a value made of numbers, text, arrays and containers of these."""
    text = json.dumps(value, sort_keys=True, default=lambda array: array.tolist())
    return hashlib.sha256(text.encode()).hexdigest()
