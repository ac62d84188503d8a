"""``tilewright cache``: what is kept on disk."""

from __future__ import annotations

import json

import click
from msgspec import to_builtins

from tilewright.compiler.cli.options import examples


@click.group(
    short_help="Compiled kernels that are kept on disk.",
    epilog=examples("tilewright cache info", "tilewright cache clear"),
)
def cache() -> None:
    """Look at the compiled kernels that are kept on disk, or remove them."""


@cache.command(epilog=examples("tilewright cache info", "tilewright cache info --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Show where the cache is and how much it holds."""
    from tilewright.compiler.cache.info import cache_info
    from tilewright.compiler.runtime import runtime

    found = cache_info(runtime().cache)
    if as_json:
        facts = {k: v for k, v in to_builtins(found).items() if k not in ("hits", "misses")}
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"location  {found.location or 'none'}")
    click.echo(f"entries   {found.entries}")
    click.echo(f"size      {found.bytes / 1e6:.1f} of at most {found.most_bytes / 1e6:.0f} MB")
    if found.problem:
        click.echo(f"problem   {found.problem}")


@cache.command(epilog=examples("tilewright cache clear"))
def clear() -> None:
    """Remove every compiled kernel; they are compiled again when they are called."""
    from tilewright.compiler.cache.info import cache_info
    from tilewright.compiler.runtime import runtime

    held = runtime().cache
    before = cache_info(held)
    count = held.clear()
    click.echo(f"removed {count} entries, {before.bytes / 1e6:.1f} MB, from {before.location}")
