"""Money that many calls share."""

from __future__ import annotations

from decimal import Decimal

import anyio

from mcp_router.operations.batch.shared_budget import SharedBudget


async def test_a_call_that_was_refused_is_tried_again_although_the_others_ended_before_it_was_told() -> None:
    purse = SharedBudget(None)
    with purse.allot(Decimal(1)) as refused, purse.allot(Decimal(1)):
        pass

    with anyio.fail_after(1):
        assert await purse.wait_for_another_end(refused)


async def test_a_call_that_was_refused_alone_is_not_tried_again() -> None:
    purse = SharedBudget(None)
    with purse.allot(Decimal(1)):
        pass
    with purse.allot(Decimal(1)) as refused:
        pass

    with anyio.fail_after(1):
        assert not await purse.wait_for_another_end(refused)
