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
    refused: Stamp | None = None  # what lies there and cannot be opened
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
    except OSError:
        if not one.gone:
            service.log.event(f"{name} is served on as it was loaded: {served.path} is gone.", "warning")
        one.gone = True
        return
    one.gone = False
    if stamp in {served.now.stamp, one.refused}:
        return
    try:
        loaded = await asyncio.to_thread(Loaded, served.path, stamp)
    except EyespotError as error:
        one.refused = stamp
        service.counts.loads[name, "failed"] += 1
        service.log.event(f"{name} is served on as it was loaded: {error}", "warning")
        return
    one.refused = None
    served.now, served.examples = loaded, None
    service.counts.loads[name, "loaded"] += 1
    service.log.event(f"{served.path} has been replaced, and is loaded again.")
