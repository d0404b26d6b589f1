"""Anonymous alignment with a coordinator: linear time, symmetric cryptography only.

Computes     secret shares, at the SPU's parties, of the rows of the people that all holders have (inner join of two or
             more tables), in an order that is random to everybody.
Adversary    semi-honest, static, one corrupted party. That is what ABY3 assumes, too.
Reveals      to all: the number of rows and people of each holder; the number of common people (or an upper bound, see
             `interface.HIDE_COUNT`; and that they are at least the minimum). To the coordinator: the number of common
             people, always, and with three holders or more the size of every intersection of some of the sets.
             With a hidden count, to the coordinator: whether it sees the same sets as in an earlier run, row by row.
Not covered  a coordinator that works together with a holder (both together know who is common); parties that deviate;
             the differencing of many runs (the ledger of runs is for that); a holder that makes up IDs to ask about.
Assumes      AES-256 (pseudonyms, masks), X25519 and HKDF (keys), private links between every two parties.
Cost         per row of an owner with d columns: 16 + 8 d bytes; per matched row and owner: 4 + 16 d bytes (ABY3) or
             4 + 8 d (CHEETAH), 8 d more where the coordinator is no party of an ABY3 SPU. Seven rounds.
Reference    own composition of known parts; joins on keyed pseudonyms at a helper as in Mohassel, Rindal and Rosulek,
             "Fast database joins and PSI for secret shared data" (CCS 2020, eprint.iacr.org/2019/518). We omit their
             oblivious permutation: the helper's list is in an order private to the owner, which does the same here.

Messages, for holders A and B, coordinator C, an SPU over all three; n_A, n_B people, d_A, d_B columns, m rows out:

1. All publish a fresh X25519 key. Every two get a secret; A has the group key K and wraps it for B (`key_agreement`). K
   is random; with a hidden count it follows from A's ledger key and all sets of people, so that runs on the same people
   have the same pseudonyms. By them, and a key that stays there, C chooses the people for certain.
2. A draws a private order and sends C the pseudonyms tag_K(id) in that order. So does B.
3. A sends B its rows in the same order, minus a stream that A and C expand from their common key. B sends A the same.
4. C joins the pseudonyms, draws a fresh order of the m matches, and makes m known.
5. C sends B the m positions in A's list, and A the m positions in B's list.
6. Rows of A: B holds the masked row, C the mask. B and C open to each other their half minus a stream each has in
   common with A, which makes shares of ABY3 (`resharing`). A takes no part but for expanding two streams. Rows of B:
   the same between A and C.

What each sees, and why that says nothing (views that a simulator makes from what is revealed):

- A sees B's masked rows (uniform: the stream's key is B's and C's), m distinct positions in B's list (uniform: B's
  order is private, and C's order of the matches fresh), and C's half of those rows minus a stream of B and C
  (uniform). Of its own rows A sees nothing at all: no message about them comes back, so nothing can be related to what
  it knows.
- B: the same with A and B exchanged.
- C sees n_A and n_B pseudonyms: without K distinct random numbers, equal where people are common, in private orders,
  so random but for m (with n holders: but for the sizes of the intersections). And B's half of A's rows minus a stream
  of A and B (uniform), and A's half of B's rows.
- An SPU party's output is what it saw, plus streams.

With n holders, each owner's rows go to one other holder (`routing`), which sees for each owner it helps one uniform
list of positions, independent of each other given m, since every owner's order is private. A coordinator outside the
SPU hands its half on to a party other than helper and owner (ABY3) or to the second of the two (CHEETAH), masked by a
stream it has in common with the helper, so that even an owner sees only uniform numbers.

Count hidden: C pads the m matches to m' rows with pairs of rows of people who are not common, distinct and random, and
shares a column of ones and zeros (`interface.MASK`). Every list of positions then holds m' uniform distinct positions,
whatever m is. The padding's values are real ones of unmatched people and stay shares: what is computed on the table
must weigh rows with the mask. m' never exceeds the smallest set, so there are always enough unmatched people.
"""
