"""Statistics over several clients' rows from secure sums, and the rules that follow from them."""
