"""The delay queue: in the order of time, to the millisecond, and never more than a hint."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import timedelta

from adapters.clock import SystemClock
from engagement_core.model.job import WakeUp
from engagement_core.use_cases.bulkhead import AccountBulkhead
from fakes.clock import InMemoryClock
from runners.worker.delay_queue import DelayQueue, Entry

CLOCK = SystemClock()
PATIENCE = 5.0


def no_prefetch() -> int:
    """Jobs are taken for free threads only."""
    return 0


class WatchedClock(SystemClock):
    """Tells that a thread has looked at it: the delay queue's lock is then held until that thread waits."""

    def __init__(self) -> None:
        self._looks = threading.Semaphore(0)

    def elapsed(self) -> float:
        self._looks.release()
        return super().elapsed()

    def await_looks(self, count: int) -> None:
        """Block until so many have looked."""
        for _ in range(count):
            assert self._looks.acquire(timeout=PATIENCE)


def an_agenda(**options: int) -> DelayQueue:
    """On the real clock."""
    return DelayQueue(CLOCK, **options)


def test_entries_come_in_the_order_of_their_time() -> None:
    """Not in that of their arrival."""
    delay_queue, now = an_agenda(), CLOCK.elapsed()
    for name, at in (("b", now - 1), ("a", now - 2), ("c", now - 0.5)):
        assert delay_queue.add(Entry(name), at) is None
    assert [entry.activity_id for entry in (delay_queue.take(), delay_queue.take(), delay_queue.take()) if entry] == [
        "a",
        "b",
        "c",
    ]


def test_an_entry_is_not_handed_out_before_its_time() -> None:
    """And soon after it."""
    delay_queue, due = an_agenda(), CLOCK.elapsed() + 0.05
    delay_queue.add(Entry("a"), due)
    assert delay_queue.take() == Entry("a")
    assert 0 <= CLOCK.elapsed() - due < 5


def test_an_activity_is_there_once_at_its_earlier_time_and_keeps_the_job_that_rang() -> None:
    """The sweep and a job may both bring it."""
    delay_queue, now = an_agenda(), CLOCK.elapsed()
    rung = Entry("a", WakeUp(activity_id="a", receipt="job"))
    delay_queue.add(rung, now + 3600)
    delay_queue.add(Entry("a"), now - 1)
    assert delay_queue.take() == rung
    delay_queue.done(rung)
    assert delay_queue.is_idle()


def test_of_two_jobs_that_rang_for_an_activity_the_earlier_one_is_handed_back() -> None:
    """It would hang as started until it counts as abandoned."""
    delay_queue, now = an_agenda(), CLOCK.elapsed()
    first, second = (Entry("a", WakeUp(activity_id="a", receipt=receipt)) for receipt in ("first", "second"))
    for at in (now - 1, now - 2, now):  # whichever time is the earlier one
        assert delay_queue.add(first, at) is None
        assert delay_queue.add(first, at) is None
        assert delay_queue.add(second, now - 1) is first
        assert delay_queue.add(Entry("a"), now) is None
        entry = delay_queue.take()
        assert entry == second
        assert delay_queue.done(second) is second


def test_who_comes_back_to_a_full_agenda_hands_back_what_gives_way() -> None:
    """Or itself, when it is the latest."""
    delay_queue, now = an_agenda(capacity=1), CLOCK.elapsed()
    delay_queue.add(Entry("a"), now - 1)
    entry = delay_queue.take()
    assert entry is not None
    other = Entry("b", WakeUp(activity_id="b", receipt="job"))
    delay_queue.add(other, now + 60)
    assert delay_queue.done(entry, now + 3600) is entry
    assert delay_queue.done(entry, now + 1) is other


def test_what_is_brought_again_and_again_takes_no_more_room() -> None:
    """With a slow provider, the sweep brings the same thousand every moment for hours."""
    delay_queue, now = an_agenda(), CLOCK.elapsed()
    for _ in range(100):
        delay_queue.add(Entry("a"), now - 1)
        delay_queue.add(Entry("b"), now)
    assert (len(delay_queue._lines._lines[None]), len(delay_queue._lines._heads)) == (2, 1)


def test_a_later_time_does_not_replace_an_earlier_one() -> None:
    """Whichever of the two came first."""
    delay_queue, now = an_agenda(), CLOCK.elapsed()
    delay_queue.add(Entry("a"), now - 1)
    delay_queue.add(Entry("a"), now + 3600)
    assert delay_queue.overdue() == 1
    assert delay_queue.take() == Entry("a")


def test_what_is_being_executed_is_not_taken_again() -> None:
    """Until it is done."""
    delay_queue = an_agenda()
    delay_queue.add(Entry("a"), 0)
    entry = delay_queue.take()
    assert entry is not None
    assert delay_queue.add(Entry("a"), 0) == Entry("a")
    delay_queue.done(entry)
    assert delay_queue.add(Entry("a"), 0) is None


def test_a_full_agenda_takes_no_more() -> None:
    """The sweep brings the rest when there is room."""
    delay_queue = an_agenda(capacity=2)
    assert [delay_queue.add(Entry(name), 0) for name in ("a", "b", "c")] == [None, None, Entry("c")]
    assert delay_queue.overdue() == 2


def test_the_latest_gives_way_when_there_is_no_room_for_an_earlier_one() -> None:
    """What is far away must not keep out what is due; whoever gives way is told, with the job that rang for it."""
    delay_queue, now = an_agenda(capacity=2), CLOCK.elapsed()
    rung = Entry("late", WakeUp(activity_id="late", receipt="job"))
    delay_queue.add(rung, now + 8)
    delay_queue.add(Entry("later-still"), now + 9)
    assert delay_queue.add(Entry("due"), now - 1) == Entry("later-still")
    assert delay_queue.add(Entry("due-too"), now - 1) == rung
    assert delay_queue.add(Entry("no-earlier"), now - 1) == Entry("no-earlier")
    taken = [delay_queue.take(), delay_queue.take()]
    assert taken == [Entry("due"), Entry("due-too")]


def test_an_entry_that_gave_way_comes_back_when_there_is_room() -> None:
    """And is handed out once."""
    delay_queue, now = an_agenda(capacity=1), CLOCK.elapsed()
    delay_queue.add(Entry("a"), now - 1)
    delay_queue.add(Entry("b"), now - 2)
    assert delay_queue.take() == Entry("b")
    assert delay_queue.add(Entry("a"), now - 1) is None
    assert delay_queue.take() == Entry("a")
    delay_queue.close()
    assert delay_queue.take() is None


def test_a_thread_is_free_when_more_of_them_rest_than_entries_are_due() -> None:
    """A worker that listens for jobs asks before it takes one away from another worker."""
    delay_queue, taken, may_go = an_agenda(), threading.Semaphore(0), threading.Event()
    assert not delay_queue.room(no_prefetch)  # nobody works yet

    def work() -> None:
        while (entry := delay_queue.take()) is not None:
            taken.release()
            may_go.wait(PATIENCE)
            delay_queue.done(entry)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    delay_queue.add(Entry("later"), CLOCK.elapsed() + 3600)
    assert delay_queue.await_room(no_prefetch, PATIENCE)
    for name in ("a", "b"):
        delay_queue.add(Entry(name), 0)
        assert taken.acquire(timeout=PATIENCE)
    assert not delay_queue.room(no_prefetch)
    waiting = threading.Thread(
        target=lambda: delay_queue.await_room(no_prefetch, PATIENCE) and taken.release(), daemon=True
    )
    waiting.start()
    may_go.set()
    assert taken.acquire(timeout=PATIENCE)
    delay_queue.close()
    assert not delay_queue.room(no_prefetch)
    for thread in (*threads, waiting):
        thread.join(PATIENCE)


def test_more_is_fetched_when_half_of_what_may_wait_is_left() -> None:
    """So that a loaded worker asks seldom; what is not due yet keeps no thread busy and does not count."""
    delay_queue, prefetch = an_agenda(), 4
    for number in range(3):
        delay_queue.add(Entry(f"due-{number}"), 0)
    delay_queue.add(Entry("later"), CLOCK.elapsed() + 3600)
    assert delay_queue.room(lambda: prefetch) == 1
    assert delay_queue.await_room(lambda: prefetch, 0) == 0
    entry = delay_queue.take()
    assert delay_queue.await_room(lambda: prefetch, 0) == 2
    assert entry is not None
    delay_queue.close()
    assert delay_queue.await_room(lambda: prefetch, PATIENCE) == 0


def test_a_full_agenda_still_moves_what_it_holds() -> None:
    """That takes no room."""
    delay_queue, now = an_agenda(capacity=2), CLOCK.elapsed()
    for name in ("a", "b"):
        delay_queue.add(Entry(name), now + 3600)
    assert delay_queue.add(Entry("b"), now - 1) is None
    assert delay_queue.take() == Entry("b")


def test_closing_hands_back_what_waits_and_wakes_every_thread() -> None:
    """A drain waits for nobody who waits."""
    clock = WatchedClock()
    delay_queue = DelayQueue(clock)
    delay_queue.add(Entry("later"), CLOCK.elapsed() + 3600)
    taken: list[Entry | None] = []
    threads = [threading.Thread(target=lambda: taken.append(delay_queue.take()), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    clock.await_looks(3)
    assert delay_queue.close() == (Entry("later"),)
    for thread in threads:
        thread.join(PATIENCE)
    assert taken == [None, None, None]
    assert delay_queue.add(Entry("more"), 0) == Entry("more")


def test_an_earlier_entry_is_taken_on_time_although_a_thread_waits_for_a_later_one() -> None:
    """Whoever leads gives way to the new head."""
    for threads in (1, 4):
        clock = WatchedClock()
        delay_queue = DelayQueue(clock)
        delay_queue.add(Entry("later"), CLOCK.elapsed() + 3600)
        found, times = threading.Event(), []

        def take(
            delay_queue: DelayQueue = delay_queue, found: threading.Event = found, times: list[float] = times
        ) -> None:
            if delay_queue.take() is not None:
                times.append(CLOCK.elapsed())
                found.set()

        waiting = [threading.Thread(target=take, daemon=True) for _ in range(threads)]
        for thread in waiting:
            thread.start()
        clock.await_looks(threads)
        due = CLOCK.elapsed() + 0.05
        delay_queue.add(Entry("sooner"), due)
        assert found.wait(PATIENCE)
        assert 0 <= times[0] - due < 5
        delay_queue.close()
        for thread in waiting:
            thread.join(PATIENCE)


def test_one_earlier_entry_after_another_is_taken_on_time_whoever_leads() -> None:
    """The thread that is woken for the second one has not waited for the first."""
    clock, taken = WatchedClock(), threading.Semaphore(0)
    delay_queue = DelayQueue(clock)
    delay_queue.add(Entry("later"), CLOCK.elapsed() + 3600)

    def work() -> None:
        while (entry := delay_queue.take()) is not None:
            delay_queue.done(entry)
            taken.release()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    clock.await_looks(4)
    for name in ("sooner", "next"):
        delay_queue.add(Entry(name), CLOCK.elapsed() + 0.05)
        assert taken.acquire(timeout=PATIENCE / 5)
        clock.await_looks(3)  # at the entry, then by the new leader and by the thread that comes back
    delay_queue.close()
    for thread in threads:
        thread.join(PATIENCE)


def test_while_one_thread_executes_another_leads() -> None:
    """Else the next entry would wait for it."""
    clock, taken = WatchedClock(), threading.Semaphore(0)
    delay_queue = DelayQueue(clock)

    def take_one_and_be_busy() -> None:
        if delay_queue.take() is not None:
            taken.release()

    threads = [threading.Thread(target=take_one_and_be_busy, daemon=True) for _ in range(2)]
    now = CLOCK.elapsed()
    delay_queue.add(Entry("first"), now + 0.05)
    delay_queue.add(Entry("second"), now + 0.1)
    for thread in threads:
        thread.start()
    for _ in threads:
        assert taken.acquire(timeout=PATIENCE / 5)
    delay_queue.close()


def test_who_waits_for_the_end_takes_nobodys_turn() -> None:
    """A burst waits until all is done; an entry that comes meanwhile wakes a thread that executes."""
    clock, found = WatchedClock(), threading.Event()
    delay_queue = DelayQueue(clock)
    delay_queue.add(Entry("busy"), 0)
    busy = delay_queue.take()
    delay_queue.add(Entry("later"), CLOCK.elapsed() + 3600)
    idle = [threading.Thread(target=delay_queue.wait_until_idle, args=(PATIENCE,), daemon=True) for _ in range(3)]
    taker = threading.Thread(target=lambda: delay_queue.take() and found.set(), daemon=True)
    for thread in (*idle, taker):
        thread.start()
    clock.await_looks(2)  # the test's own, then the taker's
    delay_queue.add(Entry("sooner"), 0)
    assert found.wait(PATIENCE / 5)
    delay_queue.done(Entry("sooner"))
    assert busy is not None
    delay_queue.done(busy)
    delay_queue.close()
    for thread in (*idle, taker):
        thread.join(PATIENCE / 5)
        assert not thread.is_alive()


def test_four_threads_take_everything_once() -> None:
    """A thousand entries at the same instant."""
    delay_queue = an_agenda(capacity=1000)
    for number in range(1000):
        delay_queue.add(Entry(str(number)), 0)
    taken: list[str] = []

    def work() -> None:
        while (entry := delay_queue.take()) is not None:
            taken.append(entry.activity_id)
            delay_queue.done(entry)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert delay_queue.wait_until_idle(PATIENCE)
    delay_queue.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(taken, key=int) == [str(number) for number in range(1000)]


def take_ids(delay_queue: DelayQueue, count: int) -> list[str]:
    """The next ones, none of which is done."""
    taken = [delay_queue.take() for _ in range(count)]
    return [entry.activity_id for entry in taken if entry is not None]


def of(account_id: str, *numbers: int) -> list[Entry]:
    """Entries of an account."""
    return [Entry(f"{account_id}-{number}", account_id=account_id) for number in numbers]


def test_account_with_the_most_entries_gives_way_when_there_is_no_room() -> None:
    """Its own latest, even if that is earlier; so a backlog leaves no one out."""
    delay_queue, now = an_agenda(capacity=4), CLOCK.elapsed()
    for number, entry in enumerate(of("x", 1, 2, 3, 4)):
        delay_queue.add(entry, now - 100 + number)
    first, second, third = of("y", 1, 2, 3)
    assert delay_queue.add(first, now) == Entry("x-4", account_id="x")
    assert delay_queue.add(second, now) == Entry("x-3", account_id="x")
    assert delay_queue.add(third, now) is third  # two of each
    assert delay_queue.add(*of("x", 5), now - 1) == Entry("x-5", account_id="x")
    assert delay_queue.add(*of("x", 6), now - 100) == Entry("x-2", account_id="x")
    assert take_ids(delay_queue, 4) == ["x-1", "x-6", "y-1", "y-2"]


def shared(clock: InMemoryClock, *, threads: int = 5, most: int = 2) -> tuple[DelayQueue, AccountBulkhead]:
    """A delay queue whose threads the accounts share."""
    bulkhead = AccountBulkhead(clock, most=most)
    return DelayQueue(clock, bulkhead=bulkhead, threads=threads), bulkhead


def test_account_with_its_share_of_the_threads_goes_after_the_others() -> None:
    """And if nobody else waits, it may have all of them, but no more."""
    clock = InMemoryClock()
    delay_queue, _ = shared(clock)
    for entry in of("x", 1, 2, 3, 4, 5, 6):
        delay_queue.add(entry, -100)
    for entry in of("y", 1):
        delay_queue.add(entry, -1)
    assert take_ids(delay_queue, 6) == ["x-1", "x-2", "y-1", "x-3", "x-4", "x-5"]
    assert delay_queue.overdue() == 0
    for entry in of("y", 2):
        delay_queue.add(entry, -1)
    assert (delay_queue.others_wait(), delay_queue.overdue()) == (True, 1)
    assert take_ids(delay_queue, 1) == ["y-2"]
    assert not delay_queue.others_wait()


def test_calls_count_although_their_entries_named_no_account() -> None:
    """A job names the activity alone."""
    clock = InMemoryClock()
    delay_queue, bulkhead = shared(clock)
    delay_queue.add(of("x", 1)[0], -100)
    delay_queue.add(of("y", 1)[0], -1)
    with bulkhead.call("x"), bulkhead.call("x"):
        assert take_ids(delay_queue, 1) == ["y-1"]


def test_entries_of_a_saturated_account_wait_where_they_are_and_occupy_nobody() -> None:
    """No thread, no complaint that it waits for one; they go as soon as a call has ended."""
    clock = InMemoryClock()
    delay_queue, bulkhead = shared(clock)
    with ExitStack() as calls:
        for _ in range(2):
            calls.enter_context(bulkhead.call("x"))
        clock.advance(timedelta(seconds=3))
        for entry in of("x", 1, 2):
            delay_queue.add(entry, -100)
        assert (delay_queue.overdue(), delay_queue.late_by(1.0), delay_queue.others_wait()) == (0, 0.0, False)
        taken: list[Entry | None] = []
        thread = threading.Thread(target=lambda: taken.append(delay_queue.take()), daemon=True)
        thread.start()
        delay_queue.add(*of("y", 1), 0)
        thread.join(PATIENCE)
        assert taken == of("y", 1)
    assert delay_queue.overdue() == 2
    assert take_ids(delay_queue, 2) == ["x-1", "x-2"]


def test_thread_that_waits_for_a_later_entry_takes_one_whose_account_has_room_again() -> None:
    """The thread whose call has ended takes the first, and nobody else would come for the second."""
    clock, taken = SystemClock(), threading.Semaphore(0)
    bulkhead = AccountBulkhead(clock, most=1, slow_after=timedelta(0))
    delay_queue = DelayQueue(clock, bulkhead=bulkhead, threads=2)
    delay_queue.add(Entry("busy", account_id="x"), 0)
    busy = delay_queue.take()
    assert busy is not None
    delay_queue.add(Entry("later", account_id="y"), CLOCK.elapsed() + 3600)
    with bulkhead.call("x"):
        delay_queue.add(*of("x", 1), 0)
        thread = threading.Thread(target=lambda: delay_queue.take() and taken.release(), daemon=True)
        thread.start()
        assert delay_queue.await_room(lambda: 0, PATIENCE)
        assert not taken.acquire(timeout=0.1)
    delay_queue.done(busy)
    assert taken.acquire(timeout=PATIENCE)
    delay_queue.close()
    thread.join(PATIENCE)


def test_what_was_finished_while_the_sweep_read_is_not_brought_again() -> None:
    """It was read before it was finished. What rings, or is read later, comes as ever."""
    delay_queue = an_agenda()
    for name in ("a", "b"):
        delay_queue.add(Entry(name), 0)
    first, second = delay_queue.take(), delay_queue.take()
    assert first is not None
    assert second is not None
    with delay_queue.reading():
        delay_queue.done(first)
        delay_queue.done(second, again_at=CLOCK.elapsed() + 3600)
        assert delay_queue.add(Entry("a"), 0) == Entry("a")
        assert delay_queue.add(Entry("b"), 0) is None  # it is to be tried again
        assert delay_queue.add(Entry("a", WakeUp(activity_id="a", receipt="job")), 0) is None
    assert take_ids(delay_queue, 2) == ["b", "a"]
    delay_queue.done(first)
    assert delay_queue.add(Entry("a"), 0) is None


def test_half_of_what_can_go_is_waited_for() -> None:
    """Not longer than asked for, and not for what cannot go."""
    clock = InMemoryClock()
    delay_queue, bulkhead = shared(clock, threads=9)
    with bulkhead.call("x"), bulkhead.call("x"):
        clock.advance(timedelta(seconds=3))
        for entry in (*of("x", 1, 2, 3, 4, 5, 6), *of("y", 1, 2, 3, 4)):
            delay_queue.add(entry, -1)
        waited = threading.Event()
        thread = threading.Thread(target=lambda: (delay_queue.await_half(PATIENCE), waited.set()), daemon=True)
        thread.start()
        while delay_queue._goal < 0:
            assert thread.is_alive()
        take_ids(delay_queue, 1)
        assert not waited.wait(0.1)
        take_ids(delay_queue, 1)
        assert waited.wait(PATIENCE)
        delay_queue.await_half(0.01)  # returns, although nothing goes


def test_entries_of_an_account_that_has_every_thread_count_as_waiting() -> None:
    """So no jobs are fetched while a thousand entries of one account wait already."""
    clock = SystemClock()
    delay_queue = DelayQueue(clock, bulkhead=AccountBulkhead(clock, most=1), threads=1)
    for name in ("a", "b", "c"):
        delay_queue.add(Entry(name, account_id="x"), 0)
    assert delay_queue.take() is not None
    assert (delay_queue.room(lambda: 0), delay_queue.room(lambda: 2), delay_queue.room(lambda: 3)) == (0, 0, 1)
    assert delay_queue.await_room(lambda: 3, 0) == 0
