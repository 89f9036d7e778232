"""Sound in: recordings read as 16 kHz mono samples, and the log-mel frames that an encoder is fed.

`load` reads files (soundfile and soxr are imported only when a file is opened), `sound` opens them, `container` reads
headers that can't be taken by their word, `mel` turns samples into frames, whole or streaming, `filterbank` holds the
mel scales, `samples` takes samples as they are, `front_end` either kind, `bundled` finds the recording that ships with
the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mctc.audio.bundled import bundled_recording, bundled_text
    from mctc.audio.errors import AudioError
    from mctc.audio.front_end import FrontEnd, existing_frames, frames_of, streaming
    from mctc.audio.load import load_audio, probe_audio, stream_audio
    from mctc.audio.mel import MelConfig, StreamingMel, log_mel
    from mctc.audio.samples import SampleConfig, StreamingSamples
    from mctc.audio.sound import AudioInfo

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

_HOME = {
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
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mctc.audio.{_HOME[name]}"), name)
