"""What agents put around a task is taken off; the task stays."""

from __future__ import annotations

import json
import time

import pytest

from mcp_router.routing.inference import infer
from mcp_router.routing.inference.evaluation.development import load_development
from mcp_router.routing.inference.evaluation.perturbing import FRAMES
from mcp_router.routing.inference.frames import extract_task

TASK = "Label this review as positive or negative: the soup was cold."
MIN_UNCHANGED_MEAN = 0.92
MIN_UNCHANGED_WORST = 0.85

AROUND = {
    "tags": f"<env>\ncwd: /srv/app\n</env>\n<rules>\n- be brief\n</rules>\n<task>{TASK}</task>",
    "brackets": f"[CONTEXT]\nNight run.\n[/CONTEXT]\n\n{TASK}",
    "wide brackets": f"【背景】内部平台\n【任务】{TASK}",
    "headings": f"## Context\nA shop.\n\n## Task\n{TASK}\n\n## Output format\nJSON",
    "ruled headings": f"=== SYSTEM ===\nAgent 5.\n=== TASK ===\n{TASK}\n=== OUTPUT ===\njson",
    "labels": f"Context: a Django shop.\n\nTask: {TASK}\n\nRules: be brief.",
    "role": f"You are a careful worker. You never greet. {TASK}",
    "French role": f"Tu es un agent rigoureux. {TASK}",
    "header": f"Ticket: OPS-12\nPriority: High\nAssignee: agent\n\n{TASK}",
    "ticket": f"[OPS-12] {TASK}",
    "subtask number": f"Subtask 3/7: {TASK}",
    "story": f"As a shop owner, I want to {TASK[0].lower()}{TASK[1:]}",
    "JSON": json.dumps({"id": "t-1", "agent": "w2", "task": TASK, "rules": ["be brief"], "output": "json"}),
    "messages": json.dumps({"messages": [{"role": "system", "content": "Hi."}, {"role": "user", "content": TASK}]}),
    "steps": f"1. Read all of it.\n2. {TASK}\n3. Hand it back.",
    "named steps": f"Step 1: Read all of it.\nStep 2: {TASK}\nStep 3: Hand it back.",
    "bullets": f"- Read all of it.\n- {TASK}\n- Hand it back.",
    "background before": f"Our shop moved to a new warehouse last week.\n\n{TASK}",
    "background after": f"{TASK}\n\nThe team is small and half of it is away.",
    "French background": f"Nous avons changé de prestataire le mois dernier.\n\n{TASK}",
    "role and rules": f"You are a careful worker. Never greet. Always be brief. {TASK}",
    "YAML": f"agent: w2\ntask: |\n  {TASK}\nrules:\n  - be brief\noutput: json",
}


@pytest.mark.parametrize("way", AROUND)
def test_task_is_taken_out_of_its_frame(way: str) -> None:
    assert extract_task(AROUND[way]).strip().lower().removeprefix("to ") == TASK.lower()


@pytest.mark.parametrize(
    "text",
    [
        TASK,
        "Write a haiku about autumn.",
        "# My project\n\nHello\n\n## Install\npip install x\n\nSummarize this README",
        '{"a": 1}',
        "Context: nothing else stands here",
        "<p>Hello there</p>",
        "1. Wash the rice.\n2. Boil it.\n3. Serve it with the beans.",
        "We have a component that has grown too large, so refactor it.\n\n```js\nlet a = 1;\n```",
        "Our inbox gets many of these. Decide which label fits.\n\nThe lift is stuck again.",
        "def f(x):\n    return {x: 1}",
        "",
    ],
)
def test_text_without_a_frame_stays(text: str) -> None:
    assert extract_task(text) == text


def test_material_stays_with_its_task() -> None:
    kept = extract_task("<task>Summarize the ticket</task>\n<ticket>The export crashes.</ticket>\n<env>linux</env>")

    assert "Summarize the ticket" in kept
    assert "The export crashes." in kept
    assert "linux" not in kept


def test_agents_frames_change_few_choices() -> None:
    prompts = [row.text for row in load_development().rows if row.label is not None and not row.left_out][::14]
    before = [infer(prompt).use_case for prompt in prompts]

    unchanged = {
        name: sum(infer(put(prompts[at])).use_case == one for at, one in enumerate(before)) / len(prompts)
        for name, put in FRAMES.items()
    }

    assert sum(unchanged.values()) / len(unchanged) >= MIN_UNCHANGED_MEAN, unchanged
    assert min(unchanged.values()) >= MIN_UNCHANGED_WORST, unchanged


@pytest.mark.parametrize(
    "text",
    [
        "<x>" * 6_000,
        "<a>\n" * 4_000,
        "# " + " " * 18_000 + "x",
        "[context: " + " " * 18_000,
        "{" * 19_000 + "}",
        '{"task": ' * 2_000 + "1" + "}" * 2_000,
        "a: b\n" * 4_000,
        "As a " + "x, I want " * 1_900,
        "You are a. " * 1_800,
        ": " * 9_000,
    ],
)
def test_hostile_text_is_read_in_bounded_time(text: str) -> None:
    began = time.perf_counter()
    infer(text)

    assert time.perf_counter() - began < 1
