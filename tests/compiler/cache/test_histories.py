"""Random histories of a store on a file system with faults, crashes and a peer.

Whatever happens, a read returns bytes that were once put under this key, or nothing.
"""

from __future__ import annotations

import hashlib
import random
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from tests.compiler.cache.simulated_files import CrashError, SimulatedFiles
from tilewright.compiler.cache.store import Store
from tilewright.ir.errors import CacheWarning

KEYS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
DIRECTORY = Path("/cache")
MOST_BYTES = 40_000  # ten blocks, and at most two in an entry: eviction happens in most histories


class History:
    """Operations on one simulated file system, and what they may return."""

    def __init__(self, seed: int, fault: float, crash: float) -> None:
        self.random = random.Random(~seed)
        self.files = SimulatedFiles(seed, fault, crash)
        self.files.peer = self.act_as_peer
        self.put: dict[str, set[bytes]] = {key: set() for key in KEYS}
        self.returned = 0
        self.open()

    def open(self) -> None:
        """What processes know is gone after a restart."""
        self.store = Store(DIRECTORY, MOST_BYTES, self.files)
        self.peer = Store(DIRECTORY, MOST_BYTES, self.files)

    def run(self, length: int) -> None:
        for _ in range(length):
            try:
                self.act(self.store)
            except CrashError:
                self.files.restart()
                self.files.peer = self.act_as_peer
                self.open()

    def act(self, store: Store) -> None:
        key = self.random.choice(KEYS)
        match self.random.randrange(12):
            case 0 | 1 | 2 | 3:
                data = self.random.randbytes(self.random.choice((0, 1, 100, 5000)))
                self.put[key].add(data)
                store.put(key, data)
            case 4 | 5 | 6 | 7 | 8:
                self.check(store, key)
            case 9:
                store.evict()
            case 10 if self.random.random() < 0.2:
                store.clear()
            case _ if self.files.names:
                self.files.damage(self.random.choice(self.files.names))

    def act_as_peer(self) -> None:
        self.act(self.peer)

    def check(self, store: Store, key: str) -> None:
        found = store.get(key)
        assert found is None or found in self.put[key]
        self.returned += found is not None


@pytest.mark.parametrize("first_seed", range(0, 3000, 500))
@pytest.mark.filterwarnings("ignore::tilewright.ir.errors.CacheWarning")
def test_a_read_returns_what_was_put_or_nothing(first_seed: int) -> None:
    returned = 0
    for seed in range(first_seed, first_seed + 500):
        history = History(seed, fault=(seed % 3) * 0.03, crash=(seed % 5) * 0.01)
        history.run(length=30)
        returned += history.returned
    assert returned > 1000  # the histories do reach the interesting states


@pytest.mark.parametrize("first_seed", range(0, 1000, 500))
def test_after_a_crash_an_entry_is_old_or_new_or_lost(first_seed: int) -> None:
    """With the old entry on the medium; nothing waits for the new one to be there too."""
    old, new = b"old", b"new" * 2000
    outcomes: dict[bytes | None, int] = {old: 0, new: 0, None: 0}
    for seed in range(first_seed, first_seed + 500):
        files = SimulatedFiles(seed)
        Store(DIRECTORY, files=files).put(KEYS[0], old)
        files.settle()
        files.crash = 0.1
        with suppress(CrashError):
            Store(DIRECTORY, files=files).put(KEYS[0], new)
        files.crash = 0.0
        files.restart()
        found = Store(DIRECTORY, files=files).get(KEYS[0])
        assert found in outcomes
        outcomes[found] += 1
    assert min(outcomes.values()) > 5


@pytest.mark.parametrize("seed", range(20))
def test_faults_are_one_warning_and_leave_nothing_behind(seed: int) -> None:
    files = SimulatedFiles(seed)
    store = Store(DIRECTORY, files=files)
    store.put(KEYS[0], b"first")
    files.fault = 0.5
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(40):
            store.put(KEYS[number % 4], bytes(100))
            store.get(KEYS[number % 4])
    assert [w.category for w in caught] == [CacheWarning]
    files.fault = 0.0
    store.put(KEYS[0], b"last")
    assert store.get(KEYS[0]) == b"last"


@pytest.mark.filterwarnings("ignore::tilewright.ir.errors.CacheWarning")
def test_leftovers_of_crashes_are_removed_after_an_hour() -> None:
    left = 0
    for seed in range(300):
        files = SimulatedFiles(seed, crash=0.2)
        store = Store(DIRECTORY, files=files)
        with suppress(CrashError):
            store.put(KEYS[0], bytes(50))
        files.crash = 0.0
        files.restart()
        left += any(name.endswith(".tmp") for name in files.names)
        store.put(KEYS[1], b"makes the directory")
        files.clock += 10 * 3600.0
        store.evict()
        assert not any(name.endswith(".tmp") for name in files.names)
    assert left > 10
