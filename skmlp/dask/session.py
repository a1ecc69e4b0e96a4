"""A session: what one fit has on a cluster, and how the client speaks with it.

The law: whatever was put on the cluster in a session is gone when it ends, however it ends. An
answer is awaited as long as there are workers; what cannot be answered any more is `Broken`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any, NamedTuple, Self
from uuid import uuid4

from ..engine.words import of_extra, shown
from ..training.loops import Broken
from .rows import asked

_PATIENCE = 30  # seconds, of which two in a row without any worker are the end
_SENT_TO_EACH = 1 << 20  # bytes; what is larger goes from worker to worker


def packages() -> SimpleNamespace:
    """Import dask and distributed; an ImportError names the extra that brings what is missing."""
    lacking = "skmlp.dask needs dask and distributed, of which one is not installed"
    with of_extra("dask", lacking):
        import dask  # noqa: PLC0415
        import dask.array as array  # noqa: PLC0415
        import dask.sizeof as sizeof  # noqa: PLC0415
        import distributed  # noqa: PLC0415
    return SimpleNamespace(dask=dask, array=array, distributed=distributed, sizeof=sizeof.sizeof)


def client_of(client: Any) -> Any:
    """Return a client that was given, or the one that the process has, if fits can use it."""
    distributed = packages().distributed
    if client is None:
        try:
            client = distributed.default_client()
        except ValueError as error:
            raise ValueError(
                "client=None takes the client of the process, and there is none: make one with "
                "distributed.Client(), or give client=."
            ) from error
    if not isinstance(client, distributed.Client):
        raise ValueError(f"client must be None or a distributed.Client, got {shown(client)}.")
    if client.asynchronous:
        raise ValueError(
            "client is asynchronous, and fit waits for its cluster: give Client(address)."
        )
    return client


class Placed(NamedTuple):
    """Something on the cluster, and the worker that it was placed on."""

    future: Any
    worker: str


class Session:
    """What one fit has on a cluster.

    Attributes
    ----------
    rounds : int
        How often all shares were asked.
    sent, received : int
        How many bytes went to the workers in those rounds, and came back.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.rounds = self.sent = self.received = 0
        self._futures: dict[str, Any] = {}
        self._packages = packages()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.drop(self._futures.values())

    def traffic(self) -> dict[str, float]:
        """Return the number of rounds, and the bytes that went and came in one, on average."""
        rounds = max(1, self.rounds)
        sent, received = self.sent / rounds, self.received / rounds
        return {"rounds": self.rounds, "sent": sent, "received": received}

    def workers(self) -> list[str]:
        """Return the workers that there are, in an order that stays."""
        workers = sorted(self.client.nthreads())
        if not workers:
            raise ValueError("The cluster of the client has no workers: start some.")
        return workers

    def keep(self, future: Any) -> Any:
        """Keep a future until the session ends, or it is dropped."""
        self._futures[future.key] = future
        return future

    def drop(self, futures: Iterable[Any]) -> None:
        """Let go of futures; what they still compute is not wanted any more."""
        dropped = list(futures)
        for future in dropped:
            self._futures.pop(future.key, None)
        pending = [future for future in dropped if not future.done()]
        try:
            if pending and self.client.status == "running":
                self.client.cancel(pending)  # and whatever waits for them
            for future in dropped:
                future.release()
        except (OSError, CancelledError):  # the cluster is gone, and all that was on it
            return

    def submit(self, function: Any, *arguments: Any, worker: str | None = None) -> Any:
        """Have something computed, on a worker if possible."""
        where = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        name = getattr(function, "__name__", "task")
        key = f"skmlp-{name}-{uuid4().hex}"
        return self.keep(self.client.submit(function, *arguments, key=key, pure=False, **where))

    def place(self, function: Any, *arguments: Any, worker: str) -> Placed:
        """Have something computed on a worker, where it is then looked for."""
        return Placed(self.submit(function, *arguments, worker=worker), worker)

    def _wait(self, futures: Sequence[Any]) -> None:
        """Wait until all are computed, or failed, as long as there is somebody to compute them."""
        lonely = 0
        while True:
            try:
                self._packages.distributed.wait(list(futures), timeout=_PATIENCE)
                return
            except TimeoutError:
                lonely = 0 if self.client.nthreads() else lonely + 1
                if lonely == 2:
                    raise Broken("All workers of the cluster are gone.") from None
            except (OSError, CancelledError) as error:
                raise Broken(_why(error)) from error

    def results(self, futures: Sequence[Any]) -> list[Any]:
        """Return what was computed, or raise the first error among it."""
        self._wait(futures)
        try:
            found = self.client.gather(list(futures))
        except Exception as error:
            raise Broken(_why(error)) from error
        wrong = next((answer for answer in found if isinstance(answer, Exception)), None)
        if wrong is not None:
            raise wrong
        return found

    def settle(self, futures: Sequence[Any], where: str) -> None:
        """Wait for partitions, and say which one could not be computed."""
        self._wait(futures)
        for i, future in enumerate(futures):
            if future.status in ("error", "cancelled"):
                error = future.exception()
                raise RuntimeError(f"{where} {i} could not be computed: {_told(error)}.") from error

    def ask(
        self,
        shares: Sequence[Placed],
        method: str,
        *common: Any,
        each: Sequence[tuple[Any, ...]] | None = None,
    ) -> list[Any]:
        """Ask all shares: one round. `common` goes to all, an entry of `each` to each."""
        sizeof, own = self._packages.sizeof, each or [()] * len(shares)
        futures: list[Any] = []
        size, given = sizeof(common), common
        try:
            if size > _SENT_TO_EACH:
                given = self.client.scatter([common], broadcast=True, hash=False)[0]
                futures.append(given)
            asking = [
                self.submit(asked, share.future, method, given, mine, worker=share.worker)
                for share, mine in zip(shares, own, strict=True)
            ]
            futures += asking
            answers = self.results(asking)
        finally:
            self.drop(futures)
        self.rounds += 1
        self.sent += size * len(shares) + sum(map(sizeof, own))
        self.received += sum(map(sizeof, answers))
        return answers


def _why(error: BaseException) -> str:
    """Say what happened to the cluster."""
    if type(error).__name__ == "KilledWorker":
        return "The cluster gave up a task, on which one worker after the other died."
    return f"The cluster could not go on: {_told(error)}."


def _told(error: BaseException) -> str:
    """Return what an error is and says, in one line that is no longer than can be read."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300].rstrip('.')}"
