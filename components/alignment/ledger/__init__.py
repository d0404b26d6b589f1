"""The run ledger of a data-set pair: what each holder remembers of earlier alignments, and when it refuses another."""
