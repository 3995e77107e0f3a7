"""Puts around a prompt what agents and orchestrators put around one, in a layout and wording drawn by chance."""

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

_EITHER_LANGUAGE = 0.25
"""How often a prompt in another language than English stands in an English frame."""
_MAX_LINES = 4

Pieces = dict[str, list[str]]
"""By the part of a frame: ways to say it."""


@cache
def pieces() -> dict[str, Pieces]:
    """Return what frames are made of, by language."""
    found: dict[str, Pieces] = {}
    kept: list[str] = []
    for line in Path(__file__).with_name("frames.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            _, language, part = line.split(" ", 2)
            kept = found.setdefault(language, {}).setdefault(part, [])
        else:
            kept.append(line)
    return found


def framed(text: str, language: str, chance: random.Random) -> str:
    """Return the prompt inside a frame of its own language, or of English."""
    known = pieces()
    if language not in known or chance.random() < _EITHER_LANGUAGE:
        language = "en"
    return chance.choice(_LAYOUTS)(text, known[language], chance)


def _some(said: Pieces, part: str, chance: random.Random) -> list[str]:
    lines = said[part]
    return chance.sample(lines, min(len(lines), chance.randint(1, _MAX_LINES)))


def _one(said: Pieces, part: str, chance: random.Random) -> str:
    return chance.choice(said[part])


def _bodies(said: Pieces, chance: random.Random) -> list[tuple[str, str]]:
    """Draw blocks that surround a task: name and body."""
    bullet = chance.choice(("- ", "* ", "", "1. "))
    drawn = {
        "context": "\n".join(_some(said, "context", chance)[:2]),
        "env": "\n".join(_some(said, "env", chance)),
        "rules": "\n".join(bullet + line for line in _some(said, "rules", chance)),
        "output": _one(said, "output", chance),
    }
    names = chance.sample(sorted(drawn), chance.randint(1, 3))
    return [(_one(said, f"name.{name}", chance), drawn[name]) for name in names]


def _wrapped(text: str, said: Pieces, chance: random.Random, block: Callable[[str, str], str]) -> str:
    """Put blocks before and after a task, the task in a block of its own or bare."""
    around = [block(name, body) for name, body in _bodies(said, chance)]
    cut = chance.randint(1, len(around)) if chance.random() < 0.7 else 0
    task = block(_one(said, "name.task", chance), text) if chance.random() < 0.6 else text
    role = [_one(said, "role", chance)] if chance.random() < 0.3 else []
    return "\n\n".join([*role, *around[:cut], task, *around[cut:]])


def _tags(text: str, said: Pieces, chance: random.Random) -> str:
    def block(name: str, body: str) -> str:
        tag = name.lower().replace(" ", chance.choice(("_", "-"))).replace(":", "")
        return f"<{tag}>\n{body}\n</{tag}>"

    return _wrapped(text, said, chance, block)


_HEADINGS = (
    "## {}\n{}",
    "# {}\n\n{}",
    "### {}\n{}",
    "**{}**\n{}",
    "**{}:**\n{}",
    "=== {} ===\n{}",
    "--- {} ---\n{}",
)


def _headings(text: str, said: Pieces, chance: random.Random) -> str:
    shape = chance.choice(
        ("## {}\n{}", "# {}\n\n{}", "### {}\n{}", "**{}**\n{}", "**{}:**\n{}", "=== {} ===\n{}", "--- {} ---\n{}")
    )
    return _wrapped(text, said, chance, shape.format)


def _labels(text: str, said: Pieces, chance: random.Random) -> str:
    shape = chance.choice(("{}:\n{}", "{}: {}", "[{}]\n{}", "{}:\n\n{}", "[{}: {}]"))
    if shape[-1] == "]":
        return _wrapped(
            text,
            said,
            chance,
            lambda name, body: body if body == text else shape.format(name, "; ".join(body.split("\n"))),
        )
    return _wrapped(text, said, chance, shape.format)


def _role(text: str, said: Pieces, chance: random.Random) -> str:
    gap = chance.choice((" ", "\n", "\n\n"))
    rules = " ".join(_some(said, "rules", chance)) if chance.random() < 0.5 else ""
    return gap.join(part for part in (_one(said, "role", chance), rules, text) if part)


def _plain_context(text: str, said: Pieces, chance: random.Random) -> str:
    before = " ".join(_some(said, "context", chance)[:2])
    after = _one(said, "output", chance) if chance.random() < 0.4 else ""
    return "\n\n".join(part for part in (before, text, after) if part)


def _tail(text: str, said: Pieces, chance: random.Random) -> str:
    after = " ".join([*_some(said, "rules", chance)[:2], _one(said, "output", chance)])
    return text + chance.choice(("\n\n", "\n", " ")) + after


def _header(text: str, said: Pieces, chance: random.Random) -> str:
    number = f"{chance.choice(('OPS', 'WEB', 'CORE', 'DATA'))}-{chance.randint(10, 9999)}"
    lines = chance.choice(
        (
            [f"[{number}]"],
            [
                f"Ticket: {number}",
                "Type: Task",
                f"Priority: {chance.choice(('High', 'P2', 'Low'))}",
                "Assignee: agent-2",
            ],
            [f"Issue #{chance.randint(10, 900)}", "Labels: backlog, agent", "Milestone: Q4"],
            [f"{_one(said, 'name.task', chance)} {chance.randint(1, 6)}/7"],
            _some(said, "env", chance),
        )
    )
    return "\n".join(lines) + chance.choice(("\n\n", "\n---\n")) + text


def _story(text: str, said: Pieces, chance: random.Random) -> str:
    person, benefit = _one(said, "person", chance), _one(said, "benefit", chance)
    rules = "\n".join(f"- [ ] {line}" for line in _some(said, "rules", chance))
    return (
        f"# Story {chance.randint(1, 9)}.{chance.randint(1, 9)}\n\nStatus: ready\n\n## Story\n{person}: {benefit}\n\n"
        f"## {_one(said, 'name.task', chance)}\n- [ ] {text}\n\n## Acceptance criteria\n{rules}"
    )


def _json(text: str, said: Pieces, chance: random.Random) -> str:
    key = chance.choice(("task", "prompt", "instruction", "request", "query", "question", "goal"))
    found: dict[str, object] = {
        "id": f"t-{chance.randint(100, 999)}",
        "agent": chance.choice(("planner", "worker-2", "router")),
        key: text,
        "context": _one(said, "context", chance),
        "rules": _some(said, "rules", chance),
        "output": _one(said, "output", chance),
    }
    kept = {name: found[name] for name in found if name == key or chance.random() < 0.6}
    return json.dumps(kept, ensure_ascii=False, indent=chance.choice((None, 2)))


def _yaml(text: str, said: Pieces, chance: random.Random) -> str:
    key = chance.choice(("task", "prompt", "instruction", "request", "goal"))
    inside = "\n".join(f"  {line}" for line in text.split("\n"))
    rules = "\n".join(f"  - {line}" for line in _some(said, "rules", chance))
    blocks = [
        f"agent: worker-{chance.randint(1, 9)}",
        f"{key}: |\n{inside}",
        f"rules:\n{rules}",
        f"output: {_one(said, 'output', chance)}",
    ]
    return "\n".join(block for block in blocks if block.startswith(key) or chance.random() < 0.7)


def _steps(text: str, said: Pieces, chance: random.Random) -> str:
    before, after = _one(said, "step", chance), _one(said, "step", chance)
    shape = chance.choice(("1. {}\n2. {}\n3. {}", "Step 1: {}\nStep 2: {}\nStep 3: {}", "- {}\n- {}\n- {}"))
    return shape.format(before, text, after)


_LAYOUTS = (
    _tags,
    _tags,
    _headings,
    _headings,
    _labels,
    _role,
    _plain_context,
    _tail,
    _header,
    _story,
    _json,
    _yaml,
    _steps,
)
