"""How the ear is made: an encoder to start from, sounds to be named, probes of what it carries."""
