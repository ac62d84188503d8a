"""The forms that default schedules have, one in each file."""
