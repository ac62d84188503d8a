"""The intermediate representations: graph, program, kernel, and the passes between them.

Nothing here imports another part of Tilewright.
"""
