"""A digest of values, by which what was made of them is told from what was made of others."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """The SHA-256 of a value made of numbers, text, arrays and containers of them."""
    text = json.dumps(value, sort_keys=True, default=lambda array: array.tolist())
    return hashlib.sha256(text.encode()).hexdigest()
