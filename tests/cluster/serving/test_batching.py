"""Items of several callers are worked on together."""

import asyncio
import threading
import time

import pytest

from raylab2f.cluster.serving.batching import Batcher


def together(batcher, *requests):
    async def all_of_them():
        return await asyncio.gather(*[batcher(items) for items in requests], return_exceptions=True)

    return asyncio.run(all_of_them())


def test_what_comes_together_is_worked_on_together():
    sizes = []

    def work(items):
        sizes.append(len(items))
        return [10 * item for item in items]

    found = together(Batcher(work, 4, 0.2), [1], [2, 3], [4, 5, 6])
    assert [results for results, _ in found] == [[10], [20, 30], [40, 50, 60]]
    assert sizes == [4, 2]
    # Each batch is counted once, with one of its requests.
    assert sorted(size for _, begun in found for size in begun) == [2, 4]


def test_nobody_waits_longer_than_was_asked():
    begun = time.monotonic()
    ((results, _),) = together(Batcher(lambda items: items, 100, 0.05), [1])
    assert results == [1]
    assert time.monotonic() - begun < 2


def test_an_error_is_told_to_those_whose_batch_it_was_and_the_next_is_worked_on():
    def work(items):
        if "bad" in items:
            raise RuntimeError("out of memory")
        return items

    async def both():
        batcher = Batcher(work, 2, 0.01)
        failed = await asyncio.gather(batcher(["bad"]), batcher(["good"]), return_exceptions=True)
        return failed, await batcher(["next"])

    failed, (results, _) = asyncio.run(both())
    assert [str(error) for error in failed] == ["out of memory"] * 2
    assert results == ["next"]


def test_who_gives_up_is_not_worked_for_and_a_long_batch_is_seen():
    seen, go_on = [], threading.Event()

    def work(items):
        seen.extend(items)
        go_on.wait(10)
        return items

    async def some_give_up():
        batcher = Batcher(work, 1, 0.0)
        first = asyncio.create_task(batcher(["first"]))
        await asyncio.sleep(0.2)
        assert batcher.busy_seconds > 0.1
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await asyncio.wait_for(batcher(["gone"]), 0.05)
        last = asyncio.create_task(batcher(["last"]))
        go_on.set()
        await asyncio.gather(first, last)
        assert batcher.busy_seconds == 0

    asyncio.run(some_give_up())
    assert seen == ["first", "last"]
