"""Rewriting rules that several targets share: NumPy's meaning in terms of simpler operations.

A rule takes a node whose operands are legal already and returns its replacement, or None.
"""
