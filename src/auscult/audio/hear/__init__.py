"""What is measured in sound. Pure."""
