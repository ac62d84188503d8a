"""GPU programs in a browser: ES modules that run them, and `runner`, which drives these."""
