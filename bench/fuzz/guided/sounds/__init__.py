"""Recordings of odd kinds: file is one as a string of bytes · written, coded: files whose length is known · made: any
of them at random · mutated: damaged ones · told: the length by a header, read independently of mctc/audio."""
