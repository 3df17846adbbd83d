"""An OpenAI-compatible server in front of the engine: chat about sound, and what the sound bears
out."""
