from collections.abc import Callable, Sequence

from glide_redis.native.engine import PushHandler
from glide_redis.native.values import NativeError, Value

INTERFACE: int
FUNCTIONS: tuple[str, ...]

class Call:
    def wait(self, timeout: float | None) -> Value: ...
    def done(self) -> bool: ...
    def abandon(self) -> None: ...

class Engine:
    @property
    def name(self) -> str: ...
    def open(self, request: bytes, push: PushHandler | None) -> int: ...
    def close(self, client: int) -> None: ...
    def command(
        self, client: int, args: Sequence[bytes | str], route: bytes | None = None, fd: int = -1
    ) -> Call: ...
    def batch(
        self,
        client: int,
        commands: Sequence[Sequence[bytes | str]],
        atomic: bool = False,
        fd: int = -1,
    ) -> Call: ...
    def execute(
        self,
        client: int,
        args: Sequence[bytes | str],
        timeout: float | None,
        route: bytes | None = None,
    ) -> Value: ...
    def acquire(self, client: int, request: bytes, timeout: float) -> int: ...
    def link(self, scope: int, args: Sequence[bytes], fd: int = -1) -> Call: ...
    def release(self, scope: int, client: int) -> None: ...

def configure(
    loader: Callable[[], None],
    opening_failure: Callable[[int, str], NativeError],
    pairs: type,
    members: type,
    refusal: type,
    refused: type[NativeError],
    lost: type[NativeError],
    timed_out: type[NativeError],
    closed: type[NativeError],
    main_thread: int,
) -> None: ...
def connect(addresses: tuple[int, ...], /) -> None: ...
def forked() -> None: ...
def shut_down() -> None: ...
