"""The engine in C. Without a compiler, Python's headers or Linux the install goes on without it."""

from pathlib import Path

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "glide_redis.native._accelerator",
            ["glide_redis/native/_accelerator.c"],
            depends=[str(part) for part in Path("glide_redis/native/csrc").glob("*.h")],
            optional=True,
        )
    ]
)
