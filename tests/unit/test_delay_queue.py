"""The agenda: in the order of time, to the millisecond, and never more than a hint."""

from __future__ import annotations

import threading

from adapters.clock import SystemClock
from engagement_core.model.job import WakeUp
from runners.worker.delay_queue import Agenda, Entry

CLOCK = SystemClock()
PATIENCE = 5.0


class WatchedClock(SystemClock):
    """Tells that a thread has looked at it: the agenda's lock is then held until that thread waits."""

    def __init__(self) -> None:
        self._looks = threading.Semaphore(0)

    def elapsed(self) -> float:
        self._looks.release()
        return super().elapsed()

    def await_looks(self, count: int) -> None:
        """Block until so many have looked."""
        for _ in range(count):
            assert self._looks.acquire(timeout=PATIENCE)


def an_agenda(**options: int) -> Agenda:
    """On the real clock."""
    return Agenda(CLOCK, **options)


def test_entries_come_in_the_order_of_their_time() -> None:
    """Not in that of their arrival."""
    agenda, now = an_agenda(), CLOCK.elapsed()
    for name, at in (("b", now - 1), ("a", now - 2), ("c", now - 0.5)):
        assert agenda.add(Entry(name), at) is None
    assert [entry.activity_id for entry in (agenda.take(), agenda.take(), agenda.take()) if entry] == ["a", "b", "c"]


def test_an_entry_is_not_handed_out_before_its_time() -> None:
    """And soon after it."""
    agenda, due = an_agenda(), CLOCK.elapsed() + 0.05
    agenda.add(Entry("a"), due)
    assert agenda.take() == Entry("a")
    assert 0 <= CLOCK.elapsed() - due < 5


def test_an_activity_is_there_once_at_its_earlier_time_and_keeps_the_job_that_rang() -> None:
    """The sweep and a job may both bring it."""
    agenda, now = an_agenda(), CLOCK.elapsed()
    rung = Entry("a", WakeUp(activity_id="a", receipt="job"))
    agenda.add(rung, now + 3600)
    agenda.add(Entry("a"), now - 1)
    assert agenda.take() == rung
    agenda.done(rung)
    assert agenda.is_idle()


def test_of_two_jobs_that_rang_for_an_activity_the_earlier_one_is_handed_back() -> None:
    """It would hang as started until it counts as abandoned."""
    agenda, now = an_agenda(), CLOCK.elapsed()
    first, second = (Entry("a", WakeUp(activity_id="a", receipt=receipt)) for receipt in ("first", "second"))
    for at in (now - 1, now - 2, now):  # whichever time is the earlier one
        assert agenda.add(first, at) is None
        assert agenda.add(first, at) is None
        assert agenda.add(second, now - 1) is first
        assert agenda.add(Entry("a"), now) is None
        entry = agenda.take()
        assert entry == second
        assert agenda.done(second) is second


def test_who_comes_back_to_a_full_agenda_hands_back_what_gives_way() -> None:
    """Or itself, when it is the latest."""
    agenda, now = an_agenda(capacity=1), CLOCK.elapsed()
    agenda.add(Entry("a"), now - 1)
    entry = agenda.take()
    assert entry is not None
    other = Entry("b", WakeUp(activity_id="b", receipt="job"))
    agenda.add(other, now + 60)
    assert agenda.done(entry, now + 3600) is entry
    assert agenda.done(entry, now + 1) is other


def test_what_is_brought_again_and_again_takes_no_more_room() -> None:
    """With a slow provider, the sweep brings the same thousand every moment for hours."""
    agenda, now = an_agenda(), CLOCK.elapsed()
    for _ in range(100):
        agenda.add(Entry("a"), now - 1)
        agenda.add(Entry("b"), now)
    assert len(agenda._heap) == 2


def test_a_later_time_does_not_replace_an_earlier_one() -> None:
    """Whichever of the two came first."""
    agenda, now = an_agenda(), CLOCK.elapsed()
    agenda.add(Entry("a"), now - 1)
    agenda.add(Entry("a"), now + 3600)
    assert agenda.overdue() == 1
    assert agenda.take() == Entry("a")


def test_what_is_being_executed_is_not_taken_again() -> None:
    """Until it is done."""
    agenda = an_agenda()
    agenda.add(Entry("a"), 0)
    entry = agenda.take()
    assert entry is not None
    assert agenda.add(Entry("a"), 0) == Entry("a")
    agenda.done(entry)
    assert agenda.add(Entry("a"), 0) is None


def test_a_full_agenda_takes_no_more() -> None:
    """The sweep brings the rest when there is room."""
    agenda = an_agenda(capacity=2)
    assert [agenda.add(Entry(name), 0) for name in ("a", "b", "c")] == [None, None, Entry("c")]
    assert agenda.overdue() == 2


def test_the_latest_gives_way_when_there_is_no_room_for_an_earlier_one() -> None:
    """What is far away must not keep out what is due; whoever gives way is told, with the job that rang for it."""
    agenda, now = an_agenda(capacity=2), CLOCK.elapsed()
    rung = Entry("late", WakeUp(activity_id="late", receipt="job"))
    agenda.add(rung, now + 8)
    agenda.add(Entry("later-still"), now + 9)
    assert agenda.add(Entry("due"), now - 1) == Entry("later-still")
    assert agenda.add(Entry("due-too"), now - 1) == rung
    assert agenda.add(Entry("no-earlier"), now - 1) == Entry("no-earlier")
    taken = [agenda.take(), agenda.take()]
    assert taken == [Entry("due"), Entry("due-too")]


def test_an_entry_that_gave_way_comes_back_when_there_is_room() -> None:
    """And is handed out once."""
    agenda, now = an_agenda(capacity=1), CLOCK.elapsed()
    agenda.add(Entry("a"), now - 1)
    agenda.add(Entry("b"), now - 2)
    assert agenda.take() == Entry("b")
    assert agenda.add(Entry("a"), now - 1) is None
    assert agenda.take() == Entry("a")
    agenda.close()
    assert agenda.take() is None


def test_a_thread_is_free_when_more_of_them_rest_than_entries_are_due() -> None:
    """A worker that listens for jobs asks before it takes one away from another worker."""
    agenda, taken, may_go = an_agenda(), threading.Semaphore(0), threading.Event()
    assert not agenda.await_free_thread(0)  # nobody works yet

    def work() -> None:
        while (entry := agenda.take()) is not None:
            taken.release()
            may_go.wait(PATIENCE)
            agenda.done(entry)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    agenda.add(Entry("later"), CLOCK.elapsed() + 3600)
    assert agenda.await_free_thread(PATIENCE)
    for name in ("a", "b"):
        agenda.add(Entry(name), 0)
        assert taken.acquire(timeout=PATIENCE)
    assert not agenda.await_free_thread(0)
    waiting = threading.Thread(target=lambda: agenda.await_free_thread(PATIENCE) and taken.release(), daemon=True)
    waiting.start()
    may_go.set()
    assert taken.acquire(timeout=PATIENCE)
    agenda.close()
    assert not agenda.await_free_thread(0)
    for thread in (*threads, waiting):
        thread.join(PATIENCE)


def test_a_full_agenda_still_moves_what_it_holds() -> None:
    """That takes no room."""
    agenda, now = an_agenda(capacity=2), CLOCK.elapsed()
    for name in ("a", "b"):
        agenda.add(Entry(name), now + 3600)
    assert agenda.add(Entry("b"), now - 1) is None
    assert agenda.take() == Entry("b")


def test_closing_hands_back_what_waits_and_wakes_every_thread() -> None:
    """A drain waits for nobody who waits."""
    clock = WatchedClock()
    agenda = Agenda(clock)
    agenda.add(Entry("later"), CLOCK.elapsed() + 3600)
    taken: list[Entry | None] = []
    threads = [threading.Thread(target=lambda: taken.append(agenda.take()), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    clock.await_looks(3)
    assert agenda.close() == (Entry("later"),)
    for thread in threads:
        thread.join(PATIENCE)
    assert taken == [None, None, None]
    assert agenda.add(Entry("more"), 0) == Entry("more")


def test_an_earlier_entry_is_taken_on_time_although_a_thread_waits_for_a_later_one() -> None:
    """Whoever leads gives way to the new head."""
    for threads in (1, 4):
        clock = WatchedClock()
        agenda = Agenda(clock)
        agenda.add(Entry("later"), CLOCK.elapsed() + 3600)
        found, times = threading.Event(), []

        def take(agenda: Agenda = agenda, found: threading.Event = found, times: list[float] = times) -> None:
            if agenda.take() is not None:
                times.append(CLOCK.elapsed())
                found.set()

        waiting = [threading.Thread(target=take, daemon=True) for _ in range(threads)]
        for thread in waiting:
            thread.start()
        clock.await_looks(threads)
        due = CLOCK.elapsed() + 0.05
        agenda.add(Entry("sooner"), due)
        assert found.wait(PATIENCE)
        assert 0 <= times[0] - due < 5
        agenda.close()
        for thread in waiting:
            thread.join(PATIENCE)


def test_one_earlier_entry_after_another_is_taken_on_time_whoever_leads() -> None:
    """The thread that is woken for the second one has not waited for the first."""
    clock, taken = WatchedClock(), threading.Semaphore(0)
    agenda = Agenda(clock)
    agenda.add(Entry("later"), CLOCK.elapsed() + 3600)

    def work() -> None:
        while (entry := agenda.take()) is not None:
            agenda.done(entry)
            taken.release()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    clock.await_looks(4)
    for name in ("sooner", "next"):
        agenda.add(Entry(name), CLOCK.elapsed() + 0.05)
        assert taken.acquire(timeout=PATIENCE / 5)
        clock.await_looks(3)  # at the entry, then by the new leader and by the thread that comes back
    agenda.close()
    for thread in threads:
        thread.join(PATIENCE)


def test_while_one_thread_executes_another_leads() -> None:
    """Else the next entry would wait for it."""
    clock, taken = WatchedClock(), threading.Semaphore(0)
    agenda = Agenda(clock)

    def take_one_and_be_busy() -> None:
        if agenda.take() is not None:
            taken.release()

    threads = [threading.Thread(target=take_one_and_be_busy, daemon=True) for _ in range(2)]
    now = CLOCK.elapsed()
    agenda.add(Entry("first"), now + 0.05)
    agenda.add(Entry("second"), now + 0.1)
    for thread in threads:
        thread.start()
    for _ in threads:
        assert taken.acquire(timeout=PATIENCE / 5)
    agenda.close()


def test_who_waits_for_the_end_takes_nobodys_turn() -> None:
    """A burst waits until all is done; an entry that comes meanwhile wakes a thread that executes."""
    clock, found = WatchedClock(), threading.Event()
    agenda = Agenda(clock)
    agenda.add(Entry("busy"), 0)
    busy = agenda.take()
    agenda.add(Entry("later"), CLOCK.elapsed() + 3600)
    idle = [threading.Thread(target=agenda.wait_until_idle, args=(PATIENCE,), daemon=True) for _ in range(3)]
    taker = threading.Thread(target=lambda: agenda.take() and found.set(), daemon=True)
    for thread in (*idle, taker):
        thread.start()
    clock.await_looks(2)  # the test's own, then the taker's
    agenda.add(Entry("sooner"), 0)
    assert found.wait(PATIENCE / 5)
    agenda.done(Entry("sooner"))
    assert busy is not None
    agenda.done(busy)
    agenda.close()
    for thread in (*idle, taker):
        thread.join(PATIENCE / 5)
        assert not thread.is_alive()


def test_four_threads_take_everything_once() -> None:
    """A thousand entries at the same instant."""
    agenda = an_agenda(capacity=1000)
    for number in range(1000):
        agenda.add(Entry(str(number)), 0)
    taken: list[str] = []

    def work() -> None:
        while (entry := agenda.take()) is not None:
            taken.append(entry.activity_id)
            agenda.done(entry)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert agenda.wait_until_idle(PATIENCE)
    agenda.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(taken, key=int) == [str(number) for number in range(1000)]
