"""What can be known from inside a running program: who runs here, from which line, in which flow of work."""
