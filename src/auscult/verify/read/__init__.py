"""From text to typed claims."""
