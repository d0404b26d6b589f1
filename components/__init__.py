"""Components: one folder per layer, one sub-folder per capability. Importing this is light."""

from veilflow.components.platforms import name_spu_logging

name_spu_logging()  # SecretFlow must find the name whichever of our modules imports it first
