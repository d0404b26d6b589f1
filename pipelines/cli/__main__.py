"""``python -m veilflow.pipelines.cli``: the `veilflow` command."""

from veilflow.pipelines.cli import main

if __name__ == "__main__":
    main()
