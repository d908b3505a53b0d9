"""Takes up a model whose file has been replaced, without losing a request."""

import asyncio
from dataclasses import dataclass

from eyespot.errors import EyespotError
from eyespot.files import Stamp, stamp_of
from eyespot.serving.served import Loaded, Served
from eyespot.serving.service import Service

EVERY = 0.5  # seconds between two looks


@dataclass
class _Watched:
    served: Served
    refused: Stamp | None = None  # what lies there and cannot be opened, or cannot answer
    gone: bool = False


async def watch(service: Service, every: float = EVERY) -> None:
    """Looks after all models' files, until it is cancelled."""
    watched = [_Watched(served) for served in service.models.values()]
    while True:
        await asyncio.sleep(every)
        for one in watched:
            await _look(service, one)


async def _look(service: Service, one: _Watched) -> None:
    served, name = one.served, one.served.offer.name
    try:
        stamp = await asyncio.to_thread(stamp_of, served.path)
    except OSError as error:
        if not one.gone:
            _refuse(service, served, f"{served.path} is gone ({error.strerror or error}).")
        one.gone = True
        return
    if one.gone:
        one.gone, one.refused, served.refused = False, None, None
    if stamp == one.refused:
        return
    if stamp == served.now.stamp:
        one.refused = served.refused = None
        return
    try:
        loaded = await asyncio.to_thread(Loaded, served.path, stamp, service.limits.work_seconds)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the file, the watch goes on
        one.refused = stamp
        service.counts.loads[name, "failed"] += 1
        _refuse(service, served, str(error) if isinstance(error, EyespotError) else repr(error))
        return
    one.refused = served.refused = None
    served.now, served.examples = loaded, None
    service.counts.loads[name, "loaded"] += 1
    service.log.event(f"{served.path} has been replaced, and is loaded again.")


def _refuse(service: Service, served: Served, reason: str) -> None:
    """Says why what lies there is not taken up, in the log and among what is known of the model."""
    served.refused = reason
    service.log.event(f"{served.offer.name} is served on as it was loaded: {reason}", "warning")
