"""Every byte that comes in or goes out: one module a kind of file."""
