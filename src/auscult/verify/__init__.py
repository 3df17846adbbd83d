"""The grounding verifier: every acoustic claim of a thought, checked against the waveform.

From text to typed claims (`extract`), from sound to measured quantities (`listening`), from both to
a finding per claim (`checks`) and a score per thought (`scores`). A claim is *grounded* when the
sound bears it out; a thought is grounded when its claims are borne out by its own clip more than by
others.
"""
