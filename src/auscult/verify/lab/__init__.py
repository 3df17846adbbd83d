"""How the verifier is fitted, attacked and measured."""
