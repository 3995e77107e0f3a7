"""How answers are written as text."""

from __future__ import annotations

import json


def dumped(answer: object) -> str:
    """Write JSON in as few tokens as it takes."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
