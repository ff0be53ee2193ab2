"""Finding the parts of a module that no record describes."""
