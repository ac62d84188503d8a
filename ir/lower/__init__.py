"""Programs of nests -> programs of kernels, under schedules."""
