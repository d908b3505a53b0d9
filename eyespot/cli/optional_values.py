"""Options whose value may be left out.

Own code: Typer has no such options, and Click would take the source in `--mlflow digits` for the value.
"""

import os
from collections.abc import Sequence
from itertools import zip_longest

OPTION = "--mlflow"


def with_default(arguments: Sequence[str]) -> list[str]:
    """`--mlflow` given its default where no address follows: MLflow's own environment variable, or a file here."""
    if OPTION not in arguments:
        return list(arguments)
    from eyespot.training.mlflow import DEFAULT_URI, is_address

    default = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    return [
        f"{argument}={default}" if argument == OPTION and not is_address(follower) else argument
        for argument, follower in zip_longest(arguments, arguments[1:], fillvalue="")
    ]
