"""Split rows into train and test, the same at every party."""
