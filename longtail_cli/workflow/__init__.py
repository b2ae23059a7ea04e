"""What the commands do, in memory, for Python users."""
