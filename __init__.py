"""VeilFlow: organisations that must not share rows train one model together.

Importing the package is light; nothing here imports SecretFlow or JAX.
"""

__version__ = "0.1.0"
