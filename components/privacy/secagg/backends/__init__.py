"""The thin device layer of each secure sum: one file per backend, one class, the same two methods.

``sum(parts, length, round)`` adds int64 vectors that live at their clients and returns the total at the coordinator;
``facts()`` says what this process did, for the receipt.
"""
