"""JSON as it is sent."""

import json
from typing import Any


def to_json(values: Any) -> bytes:
    """UTF-8; half a surrogate pair, which a class's name may hold and UTF-8 may not, stays an escape."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )
