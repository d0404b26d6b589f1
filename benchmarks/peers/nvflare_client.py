"""A client of `nvflare_job.py`: NVFlare's Client API around `model.train`."""

import argparse
import json
from pathlib import Path

import model
import nvflare.client as flare
from nvflare.apis.fl_constant import FLMetaKey
from nvflare.app_common.np.constants import NPConstants

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--out", required=True)


def main() -> None:
    """Train whenever a model comes; note when, for the time per round."""
    arguments = parser.parse_args()
    flare.init()
    site, starts = flare.get_site_name(), []
    number = int(site.rsplit("-", 1)[1]) - 1
    while flare.is_running():
        received = flare.receive()
        if received is None:
            break
        starts.append(model.now())
        seed = received.current_round
        vector = received.params[NPConstants.NUMPY_KEY]
        after, loss, rows = model.train(arguments.data, number, vector, seed)
        flare.send(
            flare.FLModel(
                params={NPConstants.NUMPY_KEY: after},
                params_type=flare.ParamsType.FULL,
                metrics={"loss": loss},
                meta={FLMetaKey.NUM_STEPS_CURRENT_ROUND: rows},
            )
        )
        (Path(arguments.out) / f"starts_{number}.json").write_text(json.dumps(starts))


if __name__ == "__main__":
    main()
