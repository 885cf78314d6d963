"""Cannot be made."""

from fake_redis import RedisCluster, install


class Broken(RedisCluster):
    """Refuses its options."""

    def __init__(self, **options: object) -> None:
        raise ValueError(f"no such option: {', '.join(options)}")


install(Broken)
