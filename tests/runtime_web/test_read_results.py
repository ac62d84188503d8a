"""Results that are read at once, by a device that answers when and what a test says."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.conftest import ROOT

MODULE = ROOT / "runtime_web" / "read_results.js"
DEVICE = """
import { readResults } from %s;
const log = [];
const soon = (ticks) => new Promise((done) => setTimeout(done, ticks));
const device = {
  async read(lease) {
    log.push(`begin ${lease.name}`);
    await soon(lease.ticks);
    log.push(`end ${lease.name}`);
    if (lease.fails) throw new Error(lease.name);
    return new Uint8Array([lease.name.length]);
  },
};
process.on("unhandledRejection", () => log.push("unhandled"));
let result;
try {
  result = (await readResults(device, %s, %s)).map((words) => [...words]);
} catch (error) {
  result = error.message;
}
log.push("done");
await soon(60);
console.log(JSON.stringify([result, log]));
"""


def read(leases: list[dict[str, object]], counts: list[int]) -> tuple[object, list[str]]:
    """What `readResults` gives, or the message of its error; and what happened."""
    url = json.dumps(MODULE.as_uri())
    text = DEVICE % (url, json.dumps(leases), json.dumps(counts))
    command = ["node", "--input-type=module", "--eval", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    result, log = json.loads(done.stdout)
    return result, log


@pytest.mark.node
def test_small_results_are_under_way_together() -> None:
    leases: list[dict[str, object]] = [{"name": "a", "ticks": 30}, {"name": "bc", "ticks": 1}]
    result, log = read(leases, [4, 4])
    assert result == [[1], [2]]
    assert log == ["begin a", "begin bc", "end bc", "end a", "done"]


@pytest.mark.node
def test_large_results_come_one_by_one() -> None:
    leases: list[dict[str, object]] = [{"name": "a", "ticks": 5}, {"name": "bc", "ticks": 1}]
    result, log = read(leases, [4, 1 << 22])
    assert result == [[1], [2]]
    assert log == ["begin a", "end a", "begin bc", "end bc", "done"]


@pytest.mark.node
def test_what_is_under_way_when_one_fails_is_waited_for() -> None:
    """And the error is that of the first, however soon others failed."""
    leases: list[dict[str, object]] = [
        {"name": "first", "ticks": 20, "fails": True},
        {"name": "second", "ticks": 1, "fails": True},
        {"name": "third", "ticks": 40},
    ]
    result, log = read(leases, [1, 1, 1])
    assert result == "first"
    assert log[-2:] == ["end third", "done"]
    assert "unhandled" not in log
