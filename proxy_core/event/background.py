"""Work that blocks or takes long, done by a few threads; what comes out of it is handed to the loop.

Only for work that touches nothing of the loop's: looking a name up, decoding a large file. The threads begin
with the first work, sleep while there is none, and are daemons: one that hangs in a system call neither keeps
the process from ending nor the loop from turning.
"""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, Final, Optional

MOST_THREADS: Final = 2

Post = Callable[[Callable[[], None]], None]
Done = Callable[[Any, Optional[Exception]], None]


class Task:
    """One piece of work; made by `Background.run`."""

    __slots__ = ("work", "done")

    def __init__(self, work: Callable[[], Any], done: Done) -> None:
        self.work = work
        self.done: Optional[Done] = done

    def cancel(self) -> None:
        """Never call `done`. Work that has begun goes on, for nothing."""
        self.done = None


class Background:
    """post: has a callable run in the loop's thread (`Wakeup.post`). most_threads: how many at once."""

    def __init__(self, post: Post, most_threads: int = MOST_THREADS, name: str = "background") -> None:
        self._post = post
        self._most_threads = most_threads
        self._name = name
        self._tasks: queue.SimpleQueue[Optional[Task]] = queue.SimpleQueue()
        # Posting and closing exclude each other: what is posted to may be closed afterwards.
        self._lock = threading.Lock()
        self._threads = 0
        self._waiting = 0  # tasks that were handed in and are not done
        self._closed = False

    def run(self, work: Callable[[], Any], done: Done) -> Task:
        """Call `work` in a thread, then `done(result, None)` or `done(None, exception)` in the loop. After
        `close`: nothing."""
        task = Task(work, done)
        if self._closed:
            return task
        with self._lock:
            self._waiting += 1
            is_short = self._waiting > self._threads and self._threads < self._most_threads
            self._threads += is_short
        self._tasks.put(task)
        if is_short:
            threading.Thread(target=self._serve, name=f"{self._name}-{self._threads}", daemon=True).start()
        return task

    def close(self) -> None:
        """No `done` is called any more, and the threads end when their present work does. Harmless the second
        time."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads, self._threads = self._threads, 0
        for _ in range(threads):
            self._tasks.put(None)

    @property
    def threads(self) -> int:
        """How many there are."""
        return self._threads

    def _serve(self) -> None:
        """A thread's life."""
        while True:
            task = self._tasks.get()
            if task is None:
                return
            if task.done is not None and not self._closed:
                self._do(task)
            with self._lock:
                self._waiting -= 1

    def _do(self, task: Task) -> None:
        result: Any = None
        failure: Optional[Exception] = None
        try:
            result = task.work()
        except Exception as error:  # the loop's thread decides what it means
            failure = error

        def deliver() -> None:
            done, task.done = task.done, None
            if done is not None and not self._closed:
                done(result, failure)

        with self._lock:
            if not self._closed:
                self._post(deliver)
