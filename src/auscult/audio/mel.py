"""Log-mel features, exactly those of Whisper but without padding to 30 s.

M mel bins, 128 as in Whisper-large-v3 or 80 as in the smaller ones; L frames of 10 ms. The clip's
own maximum sets the dynamic range (80 dB), so a clip must never be concatenated or padded before
this step.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio

N_FFT = 400  # 25 ms window
HOP = 160  # 10 ms step
N_MELS = 128
TAIL_PAD = 479  # zeros appended by the published client; two extra frames come of it


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's scale: linear below 1 kHz, logarithmic above."""
    linear = hz * 3 / 200
    return np.where(hz < 1000, linear, 15 + 27 * np.log(np.maximum(hz, 1e-9) / 1000) / np.log(6.4))


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


@lru_cache(maxsize=4)
def mel_filters(n_mels: int = N_MELS) -> Float32[Tensor, "M bins"]:
    """Triangular filters of unit area (Slaney normalisation), `n_mels` x 201."""
    edges = _mel_to_hz(np.linspace(0, float(_hz_to_mel(np.array(SAMPLE_RATE / 2))), n_mels + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return torch.from_numpy((triangles * 2 / (edges[2:] - edges[:-2])[:, None]).astype(np.float32))


@lru_cache(maxsize=1)
def _window() -> Tensor:
    return torch.hann_window(N_FFT)


def frame_count(samples: int, tail_pad: int = TAIL_PAD) -> int:
    """Mel frames of a clip: one per started 10 ms, plus two of padding."""
    return (samples + tail_pad) // HOP


def log_mel(
    samples: Audio, *, n_mels: int = N_MELS, tail_pad: int = TAIL_PAD
) -> Float32[Tensor, "M L"]:
    """Features of one clip at 16 kHz, about -1 to 1.5.

    With `tail_pad=0` this is `WhisperFeatureExtractor(feature_size=n_mels)` without its padding
    to 30 s; the default appends the 479 zeros of the published client first.
    """
    x = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    if tail_pad:
        x = torch.nn.functional.pad(x, (0, tail_pad))
    spectrum = torch.stft(x, N_FFT, HOP, window=_window(), return_complex=True)[:, :-1]
    power = torch.view_as_real(spectrum).square_().sum(-1)
    log = (mel_filters(n_mels) @ power).clamp_(min=1e-10).log10_()
    floor = float(log.max()) - 8.0
    return log.clamp_(min=floor).add_(4.0).div_(4.0)
