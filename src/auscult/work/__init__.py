"""The ground floor: run folders and processes."""
