"""The gallery on every adapter: ``python -m tests.adapters.gallery [ADAPTER …]`` runs all of it.

Out: for each adapter how many kernels were right, and those that were not. The whole takes ten
minutes, most of them in browsers; the tests run the kernels that compute least.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.gallery import Entry, entries
from tests.adapters.adapters import ADAPTERS, Adapter, job


def wrong_results(adapter: Adapter, chosen: Sequence[Entry]) -> dict[str, float]:
    """The errors of the kernels that are outside of their tolerance, in units of it."""
    jobs = [job(entry.kernel, entry.inputs(), adapter.target) for entry in chosen]
    results = zip(chosen, adapter.run(jobs), strict=True)
    excess = {entry.name: entry.excess(tuple(found)) for entry, found in results}
    return {name: value for name, value in excess.items() if not value <= 1}


def main(names: Sequence[str]) -> int:
    """Run the gallery on the adapters of these names, or on all."""
    failed = False
    for name in names or ADAPTERS:
        wrong = wrong_results(ADAPTERS[name], entries())
        print(f"{name}: {len(entries()) - len(wrong)} of {len(entries())} right", flush=True)
        for kernel, excess in wrong.items():
            print(f"  {kernel}: {excess:.3g} times what is allowed")
        failed |= bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
