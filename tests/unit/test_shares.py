"""One account's work does not take the threads of all."""

from __future__ import annotations

import asyncio
import threading

from stillframe.console.shares import Shares

DEADLINE_S = 60


def test_one_account_leaves_threads_to_others() -> None:
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def hang() -> str:
        begun.release()
        assert go_on.wait(DEADLINE_S)
        return "done"

    async def visits() -> None:
        shares = Shares(4, of_one=2)
        try:
            async with asyncio.timeout(DEADLINE_S):
                # more than there are threads
                hanging = [asyncio.create_task(shares.of("1001").run(hang)) for _ in range(6)]
                assert await shares.of("1002").run(str.upper, "other") == "OTHER"
                for _ in range(2):
                    assert await asyncio.to_thread(begun.acquire, timeout=DEADLINE_S)
                assert not begun.acquire(blocking=False)
                go_on.set()
                assert await asyncio.gather(*hanging) == ["done"] * 6
        finally:
            go_on.set()
        hanging.clear()
        # those who have nothing in work are forgotten
        assert not shares._own

    asyncio.run(visits())
