"""Anonymous alignment by comparison inside the SPU: the membership of every row, and the count, stay secret."""
