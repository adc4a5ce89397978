"""For tests: actions one at a time, whole plans in one thread, time wound by hand."""
