"""Runs GPU programs in a headless browser that belongs to this process."""
