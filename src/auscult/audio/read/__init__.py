"""From the bytes of a recording to sound: containers, the decoder, channels, rates."""
