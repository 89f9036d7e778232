#!/bin/sh
# Makes the bundled recording again from mctc/audio/data/speech.txt: needs espeak-ng, and mctc to resample.
set -eu
cd "$(dirname "$0")/../.."
data=mctc/audio/data
spoken=$(mktemp -d)
trap 'rm -rf "$spoken"' EXIT
espeak-ng -v en-us -s 175 -f "$data/speech.txt" -w "$spoken/speech.wav"
"${PYTHON:-python3}" - "$spoken/speech.wav" "$data/speech.flac" <<'PYTHON'
import sys

import soundfile

from mctc.audio import load_audio

source, target = sys.argv[1:]
soundfile.write(target, load_audio(source), 16_000, subtype="PCM_16", format="FLAC", compression_level=1.0)
PYTHON
