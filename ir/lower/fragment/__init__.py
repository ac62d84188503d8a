"""Nests -> kernels for fragment shaders, which gather and write where they are."""
