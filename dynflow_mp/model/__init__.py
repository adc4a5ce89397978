"""What a plan is: frozen values, the tables of moves, and the codec. No I/O, no clock, no threads."""
