"""Runs a call of the library so that it can be interrupted.

The call runs in a thread of its own. The caller's thread waits for it, and so stays able
to take signals: a KeyboardInterrupt, or whatever else a signal handler raises, sets
`cancel`. The library then removes its temporary file and returns, and only after that the
exception goes on. Temporary folders are made and removed in the same thread, where no
exception of a signal can come in between."""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import Any, Callable, Generic, TypeVar, Union

from . import _library
from .errors import MissingPackageError

Result = TypeVar("Result")
ProgressCallback = Callable[[int, int], None]
Progress = Union[ProgressCallback, bool, None]


class Work(Generic[Result]):
    """One call, and what it shares with the thread that waits for it."""

    def __init__(self, call: Callable[[Work[Result]], Result], progress: Progress = None):
        self.cancel = ctypes.c_int(0)
        self._call = call
        self._bar = _Bar() if progress is True else None
        self._callback = self._bar.show if self._bar else progress
        # Kept here, since it must live as long as the library may call it.
        self._function = _library.Progress(self._show if self._callback else 0)
        self._guard: int | None = None
        self._claim = threading.Lock()
        self._done = threading.Event()
        self._results: list[Result] = []
        self._failures: list[BaseException] = []

    def connect(self, options: _library.Options) -> None:
        """Sets the options that lead back here."""
        options.cancel = ctypes.pointer(self.cancel)
        options.progress = self._function
        options.guard = self._guard

    def _show(self, _data: Any, done: int, total: int) -> None:
        """The library calls it from any of its threads, from one at a time."""
        self.show(done, total)

    def show(self, done: int, total: int) -> None:
        """Hands progress on. An exception of the callback cancels the work."""
        if self._failures or not callable(self._callback):
            return
        try:
            self._callback(done, total)
        except BaseException as failure:  # raised by `run`, once the library has returned
            self._failures.append(failure)
            self.cancel.value = 1

    def _body(self) -> None:
        if not self._claim.acquire(blocking=False):
            return  # interrupted before it began
        try:
            with _library.guarded() as self._guard:
                self._results.append(self._call(self))
        except BaseException as failure:
            self._failures.append(failure)
        finally:
            self._done.set()

    def _wait(self, thread: threading.Thread) -> None:
        interrupt: BaseException | None = None
        while True:
            try:
                if interrupt is None:
                    thread.start()
                self._done.wait()
                break
            except BaseException as caught:
                self.cancel.value = 1
                interrupt = interrupt or caught
                if self._claim.acquire(blocking=False):
                    break  # the thread has not begun, and now never will
        if interrupt is not None:
            raise interrupt

    def run(self) -> Result:
        """What the call returns or raises."""
        try:
            self._wait(threading.Thread(target=self._body, name="nibble", daemon=True))
        finally:
            if self._bar:
                self._bar.close()
        if self._failures:
            raise self._failures[0]
        return self._results[0]


class _Bar:
    """A bar of tqdm for one call. Its unit is bytes of weights."""

    def __init__(self) -> None:
        try:
            import tqdm.auto
        except ImportError as error:
            raise MissingPackageError(
                "progress=True needs tqdm: pip install tqdm, or give a function of "
                "(done, total)"
            ) from error
        self._bar = tqdm.auto.tqdm(
            unit="B", unit_scale=True, desc="nibble", file=sys.stderr, leave=False
        )

    def show(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()
