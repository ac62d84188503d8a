"""``tilewright tuning``: what tuning has found, to look at, to merge and to take elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from tilewright.compiler.cli.failures import BadFileError
from tilewright.compiler.cli.options import database_option, examples
from tilewright.compiler.cli.tables import console, printable

if TYPE_CHECKING:
    from tilewright.compiler.tune.database import TuningDatabase, TuningRecord


@click.group(
    epilog=examples(
        "tilewright tuning list",
        "tilewright tuning show softmax",
        "tilewright tuning merge other.jsonl",
        "tilewright tuning export best.jsonl",
        "tilewright tuning remove softmax",
    )
)
def tuning() -> None:
    """Look at tuning records, merge them, take them elsewhere, or forget them."""


@tuning.command("list", epilog=examples("tilewright tuning list", "tilewright tuning list --json"))
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one record per line.")
def list_records(database: TuningDatabase, as_json: bool) -> None:
    """List the best record of every kernel, shape and device."""
    from rich.table import Table
    from rich.text import Text

    records = database.records()
    if as_json:
        for record in records:
            click.echo(msgspec.json.encode(record).decode())
        return
    if not records:
        click.echo(f"there are no records in {str(database.path)!r}")
        return
    table = Table("kernel", "arguments", "target", "device", "gain", "trials", "date")
    for r in records:
        row = (
            r.kernel,
            r.tuned_for,
            r.target,
            r.device,
            f"{r.gain:.2f}x",
            str(r.trials),
            r.date[:10],
        )
        table.add_row(*(Text(printable(cell)) for cell in row))
    console().print(table)


@tuning.command(epilog=examples("tilewright tuning show softmax"))
@click.argument("kernel")
@database_option
def show(kernel: str, database: TuningDatabase) -> None:
    """Print the schedules of a kernel's records, as code to paste."""
    from tilewright.compiler.tune.as_code import decorator_code

    found = _of(kernel, database)
    for record in found:
        click.echo(printable(f"# {record.kernel}({record.tuned_for}) on {record.target}"))
        click.echo(printable(f"# {record.device}; {record.compiler}; seed {record.seed}"))
        microseconds = f"{record.seconds * 1e6:.4g} us, {record.default_seconds * 1e6:.4g} without"
        click.echo(f"# {microseconds}: {record.gain:.2f} times as fast")
        for failure in record.failures:
            click.echo(printable(f"# failed: {failure}"))
        click.echo(
            decorator_code(record.schedules) if record.schedules else "# the default is best"
        )


def _of(kernel: str, database: TuningDatabase) -> list[TuningRecord]:
    records = database.records()
    found = [record for record in records if record.kernel == kernel]
    if not found:
        known = ", ".join(sorted({printable(record.kernel) for record in records})) or "none"
        raise click.UsageError(f"there is no record of {kernel!r}; the kernels are: {known}")
    return found


@tuning.command(epilog=examples("tilewright tuning merge other.jsonl"))
@click.argument("file")
@database_option
def merge(file: str, database: TuningDatabase) -> None:
    """Add the records of FILE that are new, or gain more than ours."""
    from tilewright.compiler.tune.database import TuningDatabase

    other = TuningDatabase(file)
    if not other.path.is_file():
        raise BadFileError(f"cannot read {file!r}: there is no such file")
    count = database.merge(other)
    click.echo(f"{count} of {len(other.records())} records are new or gain more")


@tuning.command(epilog=examples("tilewright tuning export best.jsonl"))
@click.argument("file")
@database_option
def export(file: str, database: TuningDatabase) -> None:
    """Write the best record of every kernel, shape and device to FILE."""
    from tilewright.compiler.output_file import write_atomically

    records = database.records()
    lines = [msgspec.json.encode(record) for record in records]
    write_atomically(file, b"".join(line + b"\n" for line in lines))
    click.echo(f"wrote {len(lines)} records to {file!r}")


@tuning.command(epilog=examples("tilewright tuning remove softmax"))
@click.argument("kernel")
@database_option
def remove(kernel: str, database: TuningDatabase) -> None:
    """Forget the records of a kernel: it runs with its default schedules again."""
    _of(kernel, database)
    click.echo(f"{database.remove(kernel)} records of {kernel!r} are forgotten")
