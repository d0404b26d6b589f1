"""Image sets at rest. Light."""

IMAGE_KIND = "sf.model.image_set"
"""Object type: ``images`` (rows x height x width [x channels]) and ``labels`` (rows) at one party. The name begins as
Kuscia wants it for what it moves between its steps."""
