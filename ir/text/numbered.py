"""Program text with the numbers of its lines, as compilers' logs count them."""


def numbered(source: str) -> str:
    """`source` with a number before each line, from 1."""
    lines = source.splitlines()
    width = len(str(len(lines)))
    return "\n".join(f"{number:>{width}} | {line}" for number, line in enumerate(lines, 1))
