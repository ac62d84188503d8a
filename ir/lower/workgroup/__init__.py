"""Nests -> kernels for targets with workgroups and their memory."""
