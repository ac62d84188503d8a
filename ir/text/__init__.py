"""The parts of `ir/printer.py` and `ir/parser.py`; docs/ir.md holds the grammar."""
