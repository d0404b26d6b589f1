"""Make the rows of one party's table k-anonymous, and optionally l-diverse."""
