"""The thin SecretFlow layer: everything that knows a device. Kernels know none of this."""
