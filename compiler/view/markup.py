"""Elements of a page. The standard library's tree escapes every text and attribute."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring

Child = Element | str | None


def element(tag: str, attributes: dict[str, object] | None = None, *children: Child) -> Element:
    """An element; attributes that are None or False are left out, and so are children."""
    given = attributes or {}
    made = Element(tag, {k: _text(v) for k, v in given.items() if v is not None and v is not False})
    append(made, *children)
    return made


def append(parent: Element, *children: Child) -> None:
    """Add elements and text at the end."""
    for child in children:
        if isinstance(child, Element):
            parent.append(child)
        elif child and len(parent):
            parent[-1].tail = (parent[-1].tail or "") + child
        elif child:
            parent.text = (parent.text or "") + child


def document(root: Element) -> bytes:
    """The file. Characters that UTF-8 has not, as in names of files, become question marks."""
    text = tostring(root, encoding="unicode", method="html")
    return f"<!doctype html>\n{text}\n".encode("utf-8", "replace")


def _text(value: object) -> str:
    if value is True:
        return ""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


__all__ = ["Child", "Element", "append", "document", "element"]
