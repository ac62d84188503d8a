"""A device array on its way to the host, while both go on with other work.

In: what waits for the array and returns it. Out: the array, once somebody asks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any

from numpy.typing import NDArray


class Reading:
    """``numpy()`` waits for the array; ``await reading`` does so without holding up the loop."""

    def __init__(self, wait: Callable[[], NDArray[Any]]) -> None:
        self._wait: Callable[[], NDArray[Any]] | None = wait
        self._lock = threading.Lock()
        self._array: NDArray[Any] | None = None

    def numpy(self) -> NDArray[Any]:
        """The array; the same one each time."""
        with self._lock:
            if self._wait is not None:
                self._array = self._wait()
                self._wait = None  # what it holds on the device is free
            assert self._array is not None
            return self._array

    def __await__(self) -> Generator[Any, None, NDArray[Any]]:
        return asyncio.to_thread(self.numpy).__await__()
