"""What frameworks save, read as it is: one module for each producer, with its source named."""
