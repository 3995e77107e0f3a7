"""Several processes on one ledger: no budget is overrun, and a killed process gives its money back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.records import BudgetRefusal
from tests.support.ledgers import NOON, a_hold, daily, fresh_url

WORKER = Path(__file__).parents[1] / "support" / "ledger_worker.py"
FAR = daily("1000000")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path)


def four_workers(url: str, *arguments: str) -> list[subprocess.Popen[str]]:
    return [
        subprocess.Popen(
            [sys.executable, str(WORKER), url, f"worker{number}", *arguments],
            cwd=WORKER.parents[2],
            env={"PYTHONPATH": ".", "PATH": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]


def said(outputs: Sequence[str], what: str) -> set[str]:
    lines = (line.split() for output in outputs for line in output.splitlines())
    return {words[1] for words in lines if words[0] == what and len(words) == 2}


async def test_four_processes_that_start_together_spend_a_budget_to_the_last_cent_and_no_further(url: str) -> None:
    # Nobody has made the tables yet: the four also race for the migration.
    workers = four_workers(url, "40", "1", "0.1", "0.05", "60")
    outputs = [worker.communicate(timeout=50)[0] for worker in workers]

    ledger = await open_ledger(url)
    (state,) = await ledger.read_budgets([daily("1")], NOON)
    problems = await ledger.find_differences()
    await ledger.aclose()

    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    assert len(said(outputs, "settled")) == 10
    assert len(said(outputs, "refused")) == 150
    assert (state.spent_usd, state.held_usd) == (Decimal(1), Decimal(0))
    assert problems == []


async def test_balances_are_exact_after_four_processes_were_killed_in_the_middle_of_200_calls(url: str) -> None:
    lease = 60.0
    workers = four_workers(url, "50", "20", "0.1", "1.5", str(lease))
    outputs = [killed_after_settling(worker, 5) for worker in workers]
    settled, held = said(outputs, "settled"), said(outputs, "held")

    ledger = await open_ledger(url)
    rows = {attempt.call_id for attempt in await ledger.read_recent(1_000)}
    (at_once,) = await ledger.read_budgets([daily("20")], NOON)
    later = NOON + lease
    (after,) = await ledger.read_budgets([FAR], later)
    spent = Decimal("0.1") * len(rows)
    rest = a_hold("rest", str(20 - after.spent_usd), now=later)
    fitting = await ledger.hold(rest, [daily("20")], None)
    one_more = await ledger.hold(a_hold("one more", "0.000000001", now=later), [daily("20")], None)
    problems = await ledger.find_differences()
    await ledger.aclose()

    assert settled <= rows <= held  # what was said to be written is there
    assert 0 < len(rows) < 200
    assert at_once.spent_usd == spent
    assert at_once.held_usd > 0
    assert at_once.spent_usd + at_once.held_usd >= Decimal("0.1") * len(held)
    assert after.held_usd == 0
    assert after.spent_usd == at_once.spent_usd + at_once.held_usd  # what was in flight counts at its bound
    assert fitting is None
    assert isinstance(one_more, BudgetRefusal)
    assert problems == []


def killed_after_settling(worker: subprocess.Popen[str], count: int) -> str:
    """All that it said until it was killed, after it had settled so many calls."""
    assert worker.stdout is not None
    lines: list[str] = []
    while sum(line.startswith("settled") for line in lines) < count:
        line = worker.stdout.readline()
        assert line, f"the worker ended early: {lines}"
        lines.append(line)
    worker.kill()
    lines.append(worker.stdout.read())
    worker.stdout.close()
    worker.wait(timeout=10)
    return "".join(lines)
