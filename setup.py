"""The top-level folders are the package: `components/` installs as `veilflow.components`, and so on.

`datasets`, `components` and `tests` are never installed under their bare names, which other distributions own.
Everything else about the distribution is in pyproject.toml.
"""

from pathlib import Path
from shutil import copy

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

FOLDERS = ["components", "components.*", "datasets", "datasets.*", "pipelines", "pipelines.*"]


class BuildWithPth(build_py):
    """Puts `veilflow.pth` beside the package: it names what SecretFlow reads and newer SPUs no longer export."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            copy(Path(__file__).with_name("veilflow.pth"), self.build_lib)


setup(
    cmdclass={"build_py": BuildWithPth},
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
