"""The rules that tell poke and mock tests from black-box ones: data, and their published table.

A rule names a *trigger* (what in the syntax tree is looked at), the *names* it applies to, and the
*receiver* that it needs. ``docs/kinds.md`` is ``render_rules()``; a test keeps the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from slotproof.model import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSIFIER_VERSION = 1
"""Goes up with every change that can change a verdict; stands in each suite's collected.lock."""

CLIENT_PACKAGES = ("redis", "valkey")
"""Top-level packages whose objects are *the client*: what a subject replaces."""


class Trigger(StrEnum):
    """What in the syntax tree a rule looks at."""

    PRIVATE_NAME = "private name"
    ATTRIBUTE = "attribute"
    IMPORT = "import"
    CONSTRUCT = "construct"
    PATCH_CLIENT = "patch client"
    PATCH_TRANSPORT = "patch transport"
    ASSIGN_DOUBLE = "assign double"
    SPEC_DOUBLE = "double with spec"
    PASS_DOUBLE = "pass double"
    STAND_IN = "stand-in argument"
    OVERRIDE_CLASS = "subclass"
    OVERRIDE_METHOD = "overridden method"


class Receiver(StrEnum):
    """What an attribute must be an attribute of, for the rule to apply.

    ``CLIENT``: an object that provably comes from the client. ``NOT_OWN``: that, or one whose
    origin the tree does not show; not an object of the suite itself, of a test double or of
    another library. ``ANY``: whatever it is (for names that nobody else uses).
    """

    CLIENT = "client object"
    NOT_OWN = "client object or unknown object"
    ANY = "any object"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table.

    ``kind``: what the rule makes of a test; ``Kind.BLACK_BOX`` makes it an exemption that is
    looked at before the others. ``names``: what the trigger compares with; empty: every name.
    ``receiver`` counts for names and attributes only.
    """

    id: str
    kind: Kind
    trigger: Trigger
    names: tuple[str, ...]
    reason: str
    receiver: Receiver = Receiver.NOT_OWN


ENGINE_CLASSES = (
    "AbstractConnection",
    "AbstractConnectionPool",
    "BaseParser",
    "BlockingConnectionPool",
    "CacheProxyConnection",
    "ClusterPipeline",
    "ClusterPubSub",
    "CommandsParser",
    "Connection",
    "ConnectionInterface",
    "ConnectionPool",
    "ConnectionPoolInterface",
    "Encoder",
    "HiredisParser",
    "NodesManager",
    "Pipeline",
    "PipelineStrategy",
    "PubSub",
    "PythonParser",
    "SSLConnection",
    "SentinelConnectionPool",
    "SentinelManagedConnection",
    "SocketBuffer",
    "TransactionStrategy",
    "UnixDomainSocketConnection",
)

CLIENT_CLASSES = frozenset(
    {
        "BlockingConnectionPool",
        "ConnectionPool",
        "Pipeline",
        "PubSub",
        "Redis",
        "RedisCluster",
        "Sentinel",
        "StrictRedis",
        "Valkey",
        "ValkeyCluster",
        "redis",
        "valkey",
    }
)
"""Names under which another module holds the client or one of its classes."""

CONFIGURATION = ("connection_kwargs",)
"""Attributes that may be read from any holder, the holder then not counting as used itself."""

_EXEMPT = (
    Rule(
        "namedtuple-names",
        Kind.BLACK_BOX,
        Trigger.PRIVATE_NAME,
        ("_asdict", "_fields", "_make", "_replace"),
        "the documented methods of named tuples",
        Receiver.ANY,
    ),
    Rule(
        "configuration-as-given",
        Kind.BLACK_BOX,
        Trigger.ATTRIBUTE,
        CONFIGURATION,
        "configuration as the caller handed it in; applications read it (also as"
        " nodes_manager.connection_kwargs)",
        Receiver.ANY,
    ),
    Rule(
        "pool-methods",
        Kind.BLACK_BOX,
        Trigger.ATTRIBUTE,
        (
            "connection_class",
            "connection_pool",
            "disconnect",
            "from_url",
            "get_connection",
            "max_connections",
            "release",
            "reset",
        ),
        "the public methods and settings of a pool: any engine can lend and take back a connection;"
        " what is done with the connection on the wire is another rule's business",
        Receiver.ANY,
    ),
    Rule(
        "cluster-lookups",
        Kind.BLACK_BOX,
        Trigger.ATTRIBUTE,
        (
            "get_default_node",
            "get_node",
            "get_node_from_key",
            "get_nodes",
            "get_primaries",
            "get_redis_connection",
            "get_replicas",
            "keyslot",
            "redis_connection",
            "set_default_node",
        ),
        "the public topology methods of a cluster client, and a node's own client",
        Receiver.ANY,
    ),
    Rule(
        "extension-points",
        Kind.BLACK_BOX,
        Trigger.SPEC_DOUBLE,
        (
            "AbstractBackoff",
            "AbstractRetry",
            "CredentialProvider",
            "EventListenerInterface",
            "IdentityProviderInterface",
            "StreamingCredentialProvider",
            "UsernamePasswordCredentialProvider",
        ),
        "interfaces that an application is meant to implement; a double of one is an application"
        " object",
    ),
    Rule(
        "double-set-up",
        Kind.BLACK_BOX,
        Trigger.ASSIGN_DOUBLE,
        ("return_value", "side_effect"),
        "sets up a double, whatever the double stands in for",
    ),
    Rule(
        "callback-arguments",
        Kind.BLACK_BOX,
        Trigger.PASS_DOUBLE,
        (
            "callback",
            "credential_provider",
            "exception_handler",
            "func",
            "handler",
            "push_handler_func",
            "redis_connect_func",
            "ssl_password",
        ),
        "a double given as a callback or provider is an application object",
    ),
)

_MOCK = (
    Rule(
        "patch-client",
        Kind.MOCK,
        Trigger.PATCH_CLIENT,
        (),
        "mock.patch, patch.object, patch.multiple, mocker.patch, mocker.spy, monkeypatch.setattr,"
        " delattr or setitem on a module, class or object of the client, or on the name under which"
        " another module holds one",
    ),
    Rule(
        "patch-transport",
        Kind.MOCK,
        Trigger.PATCH_TRANSPORT,
        (
            "asyncio.StreamReader",
            "asyncio.StreamWriter",
            "asyncio.open_connection",
            "asyncio.open_unix_connection",
            "hiredis",
            "select",
            "selectors",
            "socket.create_connection",
            "socket.getaddrinfo",
            "socket.socket",
            "ssl",
            "threading.Event",
        ),
        "replaces what redis-py's engine talks through or waits on; another engine does not use it",
    ),
    Rule(
        "assign-double",
        Kind.MOCK,
        Trigger.ASSIGN_DOUBLE,
        (),
        "an attribute of a client object or class is set to a double, a function or an object of"
        " the suite",
    ),
    Rule(
        "double-of-client",
        Kind.MOCK,
        Trigger.SPEC_DOUBLE,
        (),
        "Mock(spec=…), create_autospec(…) of a class of the client",
    ),
    Rule(
        "double-in-client",
        Kind.MOCK,
        Trigger.PASS_DOUBLE,
        (),
        "a double is handed to a class or function of the client",
    ),
    Rule(
        "stand-in-argument",
        Kind.MOCK,
        Trigger.STAND_IN,
        (
            "connection",
            "connection_class",
            "connection_pool",
            "connection_pool_class",
            "nodes_manager_class",
            "parser_class",
        ),
        "a class or object of the suite (or a double) takes the place of a connection, pool or"
        " parser",
    ),
    Rule(
        "override-engine",
        Kind.MOCK,
        Trigger.OVERRIDE_CLASS,
        ENGINE_CLASSES,
        "a subclass of an engine class replaces one of its methods",
    ),
    Rule(
        "override-dispatch",
        Kind.MOCK,
        Trigger.OVERRIDE_METHOD,
        ("execute_command", "parse_response", "initialize"),
        "a subclass of a client class replaces its dispatch, or a private method",
    ),
)

_POKE = (
    Rule(
        "private-name",
        Kind.POKE,
        Trigger.PRIVATE_NAME,
        (),
        "an attribute with a leading underscore (dunder names excepted), also through getattr,"
        " setattr, hasattr and delattr; names that the suite's own classes define excepted",
    ),
    Rule(
        "private-module",
        Kind.POKE,
        Trigger.IMPORT,
        (),
        "a private module of the client, or a private name out of one of its modules",
    ),
    Rule(
        "engine-import",
        Kind.POKE,
        Trigger.IMPORT,
        (
            "client.EMPTY_RESPONSE",
            "client.NEVER_DECODE",
            "observability.metrics",
            "observability.recorder",
        ),
        "a module or constant that serves redis-py's own engine",
    ),
    Rule(
        "construct-engine",
        Kind.POKE,
        Trigger.CONSTRUCT,
        tuple(
            name
            for name in ENGINE_CLASSES
            if name not in ("BlockingConnectionPool", "ConnectionPool", "SentinelConnectionPool")
        ),
        "an engine class built directly, past the client's own factories; pools are public",
    ),
    Rule(
        "engine-state",
        Kind.POKE,
        Trigger.ATTRIBUTE,
        (
            "cluster_response_callbacks",
            "command_stack",
            "health_check_response",
            "immediate_execute_command",
            "is_health_check_response",
            "move_node_to_end_of_cached_nodes",
            "next_health_check",
            "node_pubsub_mapping",
            "nodes_cache",
            "nodes_manager",
            "parse_response",
            "pipeline_execute_command",
            "response_callbacks",
            "shard_hint",
            "slots_cache",
        ),
        "state and steps of redis-py's own engine without an underscore",
        Receiver.NOT_OWN,
    ),
    Rule(
        "engine-attribute",
        Kind.POKE,
        Trigger.ATTRIBUTE,
        (
            "auto_close_connection_pool",
            "cluster_error_retry_attempts",
            "commands_parser",
            "connection",
            "encoder",
            "local",
            "node_flags",
            "reinitialize_counter",
            "startup_nodes",
        ),
        "the same, under names so common that the receiver must provably be the client's",
        Receiver.CLIENT,
    ),
    Rule(
        "wire-methods",
        Kind.POKE,
        Trigger.ATTRIBUTE,
        (
            "can_read",
            "check_health",
            "make_connection",
            "pack_command",
            "pack_commands",
            "read_response",
            "send_command",
            "send_packed_command",
            "should_reconnect",
        ),
        "writes or reads the wire through a borrowed connection",
        Receiver.CLIENT,
    ),
)

RULES: tuple[Rule, ...] = _EXEMPT + _MOCK + _POKE


def ordered(extra: Sequence[Rule] = ()) -> tuple[Rule, ...]:
    """``extra`` before the built-in rules, exemptions before all: the order of matching."""
    every = (*extra, *RULES)
    exempt = tuple(rule for rule in every if rule.kind is Kind.BLACK_BOX)
    return exempt + tuple(rule for rule in every if rule.kind is not Kind.BLACK_BOX)


_HEAD = f"""\
# Kinds of test

<!-- Written by slotproof.suites.kinds.render_rules(); a test keeps this page up to date. -->

Classifier version {CLASSIFIER_VERSION}. Each locked test id carries one kind:

- **black-box**: any client that offers redis-py's public API can pass it, whatever its engine.
- **poke**: reads or sets internals of redis-py.
- **mock**: replaces or patches parts of redis-py.

The kind is read from the syntax tree alone; nothing of the suite is imported or run. Looked at are
the test, and transitively what it uses inside the suite's own test folder: fixtures (parameters,
`usefixtures`, `autouse`, `getfixturevalue`), helper functions and classes of its module, of
imported test modules and of every `conftest.py` above it, set-up and tear-down methods, inherited
tests and class bodies, module-level statements. One mock finding anywhere makes the test mock, else
one poke finding makes it poke, else it is black-box. A parametrized test has the kind of its
function; where a parameter names a fixture, each id has the kind that its own fixture brings.

*The client* is any object, class or module of the packages {{packages}}, followed through
assignments, calls, attributes, fixtures and helpers. An object of the suite, of the standard
library or of another library (a queue, a worker, an app) is nobody's internals here, so a suite of
a library above redis-py may patch and poke that library and stay black-box. Where the tree does not
show what an object is, private names count.

Exemptions are looked at first.
"""

_SECTIONS = (
    (Kind.BLACK_BOX, "Exemptions: these never count"),
    (Kind.MOCK, "Mock"),
    (Kind.POKE, "Poke"),
)


def render_rules() -> str:
    """The rules as the Markdown page ``docs/kinds.md``, ending in one newline."""
    packages = ", ".join(f"`{name}`" for name in CLIENT_PACKAGES)
    parts = [_HEAD.replace("{packages}", packages)]
    for kind, title in _SECTIONS:
        parts.append(
            f"\n## {title}\n\n| rule | looks at | names | of | why |\n|---|---|---|---|---|\n"
        )
        parts.extend(_row(rule) for rule in RULES if rule.kind is kind)
    return "".join(parts)


def _row(rule: Rule) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(rule.names)) or "all"
    about = rule.receiver if rule.trigger in (Trigger.ATTRIBUTE, Trigger.PRIVATE_NAME) else "any"
    return f"| `{rule.id}` | {rule.trigger} | {names} | {about} | {rule.reason} |\n"
