"""The thin device layer of each secure sum: one file per backend, one class, the same methods.

``prepare(parts)`` is what each client does with its int64 vector without regard to who else is in the round;
``sum(prepared, length, round)`` adds what that returned and gives the total at the coordinator; ``facts()`` says what
this process did, for the receipt.
"""
