"""Work on sound beside the event loop: one thread, because measuring is bound by one core and the
engine needs the other."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="auscult-sound")


async def aside(work: Callable[[], T]) -> T:
    """What `work` returns, without holding up the other samples."""
    return await asyncio.get_running_loop().run_in_executor(_thread, work)
