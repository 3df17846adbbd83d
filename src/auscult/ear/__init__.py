"""How the ear is made: Whisper's encoder to start from, sounds to be named, probes of what it carries."""
