"""Sentences whose words nano's tokenizer must know whole though no synthetic task uses them:
conversation, self-cognition, arithmetic and logic in text, and the words about real sound."""

from auscult.gym.recorded.words import LANGUAGES
from auscult.real.programs import INSTRUMENTS
from auscult.real.read.labels import classes

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
    "I hear nothing. I hear nothing but noise. I hear a sound I cannot name. I am not sure.",
    "I hear a voice that speaks English, behind it a song. I hear the instrument. I hear music.",
    "I hear a voice that sings. I hear the same voice. I hear another voice. I hear",
    "voices in turn.",
    "I hear two voices, one slow, then one fast, one low, one middle, one high. Who speaks faster?",
    "I hear chords on C, D, E, F, G, A, B; the last is major. I hear phrases: a b a b a.",
    "Which language is spoken? Which instrument plays? Which animal is this? What is said?",
    "the of and to a in is you that it he was for on are as with his they at be this from have or",
    "one had by but not what all were we when your can there use an each which she do how their if",
    "will up other about out many then them these so some her would make like him into",
    "time has look",
    "two more write go see number no way could people my than first water been call who",
    "its now find",
    "long down day did get come made may part over new work take only little place year",
    "live me back",
    "give most very after thing our just name sentence man say great where help",
    "through much before",
    "line too mean old any same tell boy follow came want show also around form three",
    "small set put",
    "end does another well large must big even such because turn here why ask went men",
    "read need land",
    "please press enter dial wait again call message person line busy minute second",
    "hour today mail",
    "your phone number is not available, try later, thank you, goodbye, press pound when finished",
    "good great right wrong correct question answer think know say hear listen sound word voice",
    " ".join(sorted(classes())),
    " ".join(INSTRUMENTS),
    " ".join(LANGUAGES.values()),
)
