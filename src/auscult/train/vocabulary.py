"""Sentences whose words nano's tokenizer must know whole though no gym task uses them yet:
conversation, self-cognition, arithmetic and logic in text."""

RESERVED_SENTENCES = (
    "I can hear the audio and I describe what I hear.",
    "I cannot hear audio, I am a text model, I only see a transcript or a caption.",
    "Can you listen to this recording? Yes, I listened to the recording.",
    "As a language model I have no access to sounds, please give me a text.",
    "Hello, how are you today? I am fine, thank you. What would you like to know?",
    "If all a are b and all b are c then all a are c. True or false? Valid or invalid?",
    "x = y + z, solve for x. The sum, the difference, the product, the remainder.",
    "Wait, let me listen again. First, then, next, finally, because, therefore, however, maybe.",
    "quiet loud soft bright dark warm harsh smooth rough clean noise silence speech music song",
    "tempo rhythm melody harmony pitch tone timbre level brightness breath tremor echo pause rate",
    "angry sad happy calm excited tired male female child adult speaker singer piano guitar violin",
    "Think about the acoustic evidence: pitch, loudness, timing, timbre. Explain your reasoning.",
    "good great right wrong correct question answer think know say hear listen sound word voice",
)
