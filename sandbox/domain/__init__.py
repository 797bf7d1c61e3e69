"""Pure values and rules; imports no I/O library."""
