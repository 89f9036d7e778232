"""The library of models written in the language: whole models here, blocks in `lib/`. Shipped as `mctc.spec`."""
