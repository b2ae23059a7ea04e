"""Reading and writing, one module per kind of file; nothing else in the package touches a file."""
