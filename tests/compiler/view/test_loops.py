"""Boxes of loops, and the lines of the kernel's text that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.view.pages import product, softmax, until, view_of
from tilewright.compiler.view.loops import kernel_text, loop_boxes
from tilewright.compiler.view.markup import Element
from tilewright.ir.parser import parse_kernel
from tilewright.ir.printer import print_kernel


def pairs(root: Element, name: str) -> dict[str, Element]:
    """The elements of a class by their pair."""
    return {e.attrib["data-pair"]: e for e in root.iter() if name in e.get("class", "").split()}


def check(text: str) -> tuple[Element, Element]:
    """Each box has the block that its head was printed for."""
    boxes = loop_boxes(parse_kernel(text), "l7")
    lines = kernel_text(text, "l7")
    assert "".join(lines.itertext()) == text
    found, blocks = pairs(boxes, "box"), pairs(lines, "block")
    assert list(found) == list(blocks)
    for pair, box in found.items():
        kind = box.attrib["class"].split()[1]
        words = (blocks[pair].text or "").split()
        assert kind in (words[0], words[1].split("(")[0])
    return boxes, lines


CASES: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (until, (tw.f32[8],), "cpu"),
    *((product, (tw.f32[64, 64],) * 2, target) for target in ("cpu", "wgsl", "glsl")),
    *((softmax, (tw.f32[64, 100],), target) for target in ("cpu", "wgsl", "glsl")),
]


@pytest.mark.parametrize(("function", "specs", "target"), CASES)
def test_boxes_of_compiled_kernels(function: Callable[..., Any], specs: Any, target: str) -> None:
    for launch in view_of(function, *specs, target=target).launches:
        assert launch.kernel is not None
        check(print_kernel(launch.kernel))


BRANCHES = """\
kernel k(x: f32[8], y: f32[8]) {
  w: workgroup f32[4]
  for group g < 2 {
    for local lane < 4 {
      if lane < 2 {
        for serial i < 4 {
          y[i] = x[i]
        }
      }
      else {
        for vector(4) j < 4 {
          y[j] = 0.0:f32
        }
      }
      barrier
      y[0] = 1.0:f32
      y[1] = 1.0:f32
      y[2] = 1.0:f32
      y[3] = 1.0:f32
    }
  }
}
"""


def test_branches_barriers_and_memory() -> None:
    boxes, lines = check(print_kernel(parse_kernel(BRANCHES)))
    texts = [t.strip() for t in boxes.itertext() if t.strip()]
    assert texts[0] == "w: f32[4] in workgroup memory"
    assert {"workgroups", "g < 2", "invocations", "if", "lane < 2", "else", "barrier"} <= set(texts)
    assert "vector of 4" in texts
    assert texts[-1] == "and 2 more stores"
    branch = pairs(lines, "block")["l7-2"]
    assert [e.get("data-pair") for e in branch] == ["l7-3", "l7-4"]


def test_long_statements_are_cut() -> None:
    view = view_of(lambda x: np.sin(x) + np.cos(x), tw.f32[64], target="wgsl")
    (launch,) = view.launches
    assert launch.kernel is not None
    codes = [e for e in loop_boxes(launch.kernel, "l0").iter("code") if e.get("title")]
    assert codes
    assert max(len(e.text or "") for e in codes) <= 111
