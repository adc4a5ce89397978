"""What to do next: stimuli in, instructions out. No I/O, no clock, no threads, no log."""
