"""Anonymous alignment: secret shares of the joined rows, and nobody learns which of its rows matched.

`interface` says what goes in and comes out; each protocol is a folder next to it. What protocols share: `packed_ids`
and `people` (IDs to fixed-size blocks, one row per person), `ring` (fixed point), `prg`, `permutation`,
`key_agreement`.
"""
