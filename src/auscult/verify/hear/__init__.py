"""One clip as the verifier hears it: what is measured, each once."""
