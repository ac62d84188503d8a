"""The autotuner: which schedules a kernel runs best with, found by trying them."""
