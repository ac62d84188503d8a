"""A compiled kernel as a page for a browser: source, graph, program, schedules and code, linked."""
