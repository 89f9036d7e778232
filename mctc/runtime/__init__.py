"""Running what was built, on any machine: speech through a built folder, arrays through a package, and the proof.

built (a folder as its manifest describes it) · step (one function with its state) · encoder (frames in, encoded frames
out, in order) · transducer (predictor and joiner as searches want them) · searched (a build and the search that fits
it) · speech (a recording from end to end) ·
encoder_decoder (an attention decoder), by hearing (the functions over time), label_inputs (what its inputs are given),
decoding (what is asked of it) and heading (what a text says of itself) · utterance (a recording through it) ·
model (a build or a package from Python), by function (one that is called), events (a stream) and recognition (what was
said) · arrays (npy and npz through any package) · trace (what `mctc why` tells).
"""
