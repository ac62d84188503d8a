"""Compiled kernels as files: `save_kernel` writes one, `load_kernel` makes it callable again.

Below them: `container` (one file: version, description, blobs, checksum), `encode_interface`
(what a call needs to know <-> JSON) and `gpu_encoding` (a GPU program <-> JSON). No pickles.
"""
