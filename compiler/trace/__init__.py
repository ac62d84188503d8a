"""The front end: a Python function over NumPy arrays becomes an `ir.graph.Graph`.

`run.trace` is the way in. `rebind` runs the function with NumPy, `math` and the built-ins replaced;
`array` is what it sees as arrays; `numpy_*` hold one function per NumPy function, entered in the
table of `dispatch`; `index_form` and `loops` are what `tw.compute`, `tw.loop` and so on do here.
"""
