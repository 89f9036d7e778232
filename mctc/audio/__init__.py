"""Sound in: recordings read as 16 kHz mono samples, and the log-mel frames that an encoder is fed.

`load` reads files (soundfile and soxr are imported only when a file is opened), `sound` opens them, `container` reads
headers that can't be taken by their word, `mel` turns samples into frames, whole or streaming, `filterbank` holds the
mel scales, `samples` takes samples as they are, `front_end` either kind, `bundled` finds the recording that ships with
the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mctc.audio.bundled import bundled_recording, bundled_text
    from mctc.audio.errors import AudioError
    from mctc.audio.front_end import FrontEnd, existing_frames, frames_of, streaming
    from mctc.audio.load import load_audio, probe_audio, stream_audio
    from mctc.audio.mel import MelConfig, StreamingMel, log_mel
    from mctc.audio.samples import SampleConfig, StreamingSamples
    from mctc.audio.sound import AudioInfo
else:
    from mctc.lazy_names import lazy

    __getattr__ = lazy(
        __name__,
        {
            "AudioError": "errors",
            "AudioInfo": "sound",
            "FrontEnd": "front_end",
            "MelConfig": "mel",
            "SampleConfig": "samples",
            "StreamingMel": "mel",
            "StreamingSamples": "samples",
            "bundled_recording": "bundled",
            "bundled_text": "bundled",
            "existing_frames": "front_end",
            "frames_of": "front_end",
            "load_audio": "load",
            "log_mel": "mel",
            "probe_audio": "load",
            "stream_audio": "load",
            "streaming": "front_end",
        },
    )

__all__ = [
    "AudioError",
    "AudioInfo",
    "FrontEnd",
    "MelConfig",
    "SampleConfig",
    "StreamingMel",
    "StreamingSamples",
    "bundled_recording",
    "bundled_text",
    "existing_frames",
    "frames_of",
    "load_audio",
    "log_mel",
    "probe_audio",
    "stream_audio",
    "streaming",
]
