"""The engine in C. Without a compiler, Python's headers or Linux the install goes on without it."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "glide_redis.native._accelerator",
            ["glide_redis/native/_accelerator.c"],
            optional=True,
        )
    ]
)
