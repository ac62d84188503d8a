"""The documentation is true: generated blocks are current, examples run, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.make_docs import DOCS, PREAMBLE, regenerate
from tests.ir.elementary_cases import PROMISES
from tilewright.ir.lower.reduction_plan import SUM_RUN, height

ROOT = DOCS.parent
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])
# What depends on a code generator changes with every improvement of it, and is only made anew.
CHECKED = ("graph", "optimized", "program", "numpy-", "reduction-", "message")

_MESSAGE = "<!-- generated:message -->"
_PYTHON = re.compile(
    rf"(?:<!-- needs: (\w+) -->\n)?^```python\n(.*?)^```$(?!\n{_MESSAGE})", re.DOTALL | re.MULTILINE
)


def name_of(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent == DOCS], ids=name_of)
def test_generated_blocks_are_current(page: Path) -> None:
    old = page.read_text(encoding="utf-8")
    new = regenerate(old, only=lambda name: name.startswith(CHECKED))
    assert new == old, "run scripts/make_docs.py and read the difference"


def run_blocks(page: Path, allowed: set[str]) -> int:
    """Run a page's Python blocks in one namespace, those that need a device if it is `allowed`."""
    names: dict[str, object] = {"__name__": page.stem}
    exec(PREAMBLE, names)
    count = 0
    for need, source in _PYTHON.findall(page.read_text(encoding="utf-8")):
        if not need or need in allowed:
            exec(compile(source, str(page), "exec"), names)
            count += 1
    return count


# The README's blocks have tests of their own.
@pytest.mark.parametrize("name", ["writing-kernels", "targets", "architecture"])
def test_examples_run(name: str) -> None:
    assert run_blocks(DOCS / f"{name}.md", set()) > 0


@pytest.mark.wgsl
def test_examples_on_a_device_run() -> None:
    page = DOCS / "targets.md"
    assert run_blocks(page, {"wgsl"}) > run_blocks(page, set())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    folders = "compiler|ir|codegen_cpu|codegen_wgsl|codegen_glsl|tests|scripts|benchmarks|examples"
    for name in re.findall(rf"`((?:{folders})/[\w./]+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_promises_are_those_that_are_measured() -> None:
    text = (DOCS / "numerics.md").read_text(encoding="utf-8")
    found = {
        name: (int(cpu), int(gpu))
        for names, cpu, gpu in re.findall(r"^\| (`[a-z].*?) \| (\d+) \| (\d+)(?![.\d])", text, re.M)
        for name in re.findall(r"`(\w+)`", names)
    }
    assert found == PROMISES


@pytest.mark.parametrize("lanes", [1, 4, 16, 64])
@pytest.mark.parametrize("size", [1, 2, 17, 129, 4097, 10**5, 2**20 + 1, 10**9])
def test_promised_heights(size: int, lanes: int) -> None:
    per_lane = -(-size // lanes)
    assert height([per_lane], SUM_RUN, lanes) <= 24 + (size - 1).bit_length()
