"""The component `alignment/anonymous_psi`: anonymous alignment of two or more parties' tables."""
