"""What agents put around a task, taken off: envelopes, blocks, headings, headers, role lines and story templates.

Parts are recognized by how they are written and what they are called, never by what they say, so wordings that no
training has seen are taken off too.
"""

from collections.abc import Sequence

from mcp_router.routing.inference.frames.asides import strip_background, strip_steps
from mcp_router.routing.inference.frames.envelopes import parse_json, parse_yaml
from mcp_router.routing.inference.frames.openings import strip_role, strip_story, strip_ticket
from mcp_router.routing.inference.frames.parts import MAX_DEPTH, Part, says_something
from mcp_router.routing.inference.frames.scanner import Scanner

__all__ = ["extract_task", "strip_role"]

_MAX_ASIDE_CHARS = 240


def extract_task(text: str) -> str:
    """Return the task and its material without what an agent puts around them; the text itself if nothing is left."""
    for _ in range(MAX_DEPTH):
        kept = _kept(_parts(strip_background(strip_steps(text))))
        kept = strip_story(strip_role(strip_ticket(kept.strip()))) if kept is not None else None
        if kept is None or len(kept.strip()) >= len(text.strip()):
            break
        if not says_something(kept):
            break
        text = kept
    return text


def _parts(text: str) -> list[Part]:
    stripped = text.strip()
    if stripped[:1] == "{" and stripped[-1:] == "}" and (found := parse_json(stripped)):
        return found
    return parse_yaml(stripped) or list(Scanner(text).parts())


def _kept(parts: Sequence[Part]) -> str | None:
    """Join the parts worth reading, a task that is named first; None if the parts do not say what is to be done."""
    tasks = [part.text for part in parts if part.kind == "task" and part.is_named and part.text.strip()]
    loose = [part.text for part in parts if not part.is_named and part.text.strip()]
    if not any(map(says_something, tasks)) and not any(map(says_something, loose)):
        return None
    first = [text for text in tasks if says_something(text)]
    rest = [
        part.text
        for part in parts
        if part.kind != "surroundings"
        and part.text.strip()
        and part.text not in first
        and not (first and _is_aside(part))
    ]
    return "\n\n".join(text.strip("\n") for text in (*first, *rest))


def _is_aside(part: Part) -> bool:
    """Whether a part stands under a heading of its own that says nothing, beside a task that has one."""
    return part.kind is None and part.is_named and len(part.text) < _MAX_ASIDE_CHARS
