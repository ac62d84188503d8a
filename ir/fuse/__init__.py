"""Graph -> program: which tensors are stored, which launches compute them, in which buffers."""
