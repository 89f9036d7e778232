"""Sound in: recordings read as 16 kHz mono samples, and the log-mel frames that an encoder is fed.

`load` reads files (soundfile and soxr are imported only when a file is opened), `mel` turns samples into frames,
whole or streaming, `filterbank` holds the mel scales, `bundled` finds the recording that ships with the package.
"""

from __future__ import annotations

from mctc.audio.bundled import bundled_recording, bundled_text
from mctc.audio.errors import AudioError
from mctc.audio.load import AudioInfo, load_audio, probe_audio, stream_audio
from mctc.audio.mel import MelConfig, StreamingMel, log_mel

__all__ = [
    "AudioError",
    "AudioInfo",
    "MelConfig",
    "StreamingMel",
    "bundled_recording",
    "bundled_text",
    "load_audio",
    "log_mel",
    "probe_audio",
    "stream_audio",
]
