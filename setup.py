"""The top-level folders are the package: `components/` installs as `veilflow.components`, and so on.

`datasets`, `components` and `tests` are never installed under their bare names, which other distributions own.
Everything else about the distribution is in pyproject.toml.
"""

from setuptools import find_packages, setup

FOLDERS = ["components", "components.*", "datasets", "datasets.*", "pipelines", "pipelines.*"]

setup(
    package_dir={"veilflow": "."},
    packages=[
        "veilflow",
        "veilflow.configs",
        *(f"veilflow.{name}" for name in find_packages(include=FOLDERS)),
    ],
    package_data={
        "veilflow": ["py.typed"],
        "veilflow.configs": ["*/*.yaml"],
        "veilflow.components": ["*.json"],
        "veilflow.datasets": ["samples/*"],
        "veilflow.pipelines": ["report/templates/*"],
    },
)
