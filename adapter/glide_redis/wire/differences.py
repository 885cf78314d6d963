"""What GLIDE 2.6.0 does to replies that its values cannot tell: the differences that are left.

Each says when it comes up, what GLIDE does, and which way around it there is, if any.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One thing that does not come through GLIDE as the server sent it.

    ``way``: how the reply can still be had unspoilt; None if it cannot.
    """

    when: str
    glide: str
    way: str | None


_TRANSACTION = "a transaction of this one command, whose reply GLIDE does not convert"
_BATCH = "a batch that does not raise"

DIFFERENCES = (
    Difference(
        "ZRANGE, ZUNION, ZINTER, ZDIFF, ZRANDMEMBER, HRANDFIELD, ZRANK, ZREVRANK, LCS, GEOSEARCH "
        "or XINFO STREAM has a key or member that is spelled like one of its options",
        "expects a reply as with the option: fails, or turns members into numbers",
        _TRANSACTION,
    ),
    Difference(
        "XCLAIM has a stream, group or consumer called justid and finds entries",
        "aborts the process",
        _TRANSACTION,
    ),
    Difference(
        "LOLWUT draws in colours",
        "puts other characters in place of the escape sequences",
        _TRANSACTION,
    ),
    Difference(
        "FT.SEARCH, FT.AGGREGATE, FT.HYBRID, FT.CURSOR READ, FT.PROFILE, FT.INFO or FT._ALIASLIST",
        "leaves out the count of FT.AGGREGATE, fails for every reply in RESP3 and for options that "
        "it does not know, such as WITHSCORES",
        _TRANSACTION,
    ),
    Difference(
        "XREADGROUP with CLAIM (Redis 8.4) finds entries",
        "fails, since the entries have more than two parts",
        _TRANSACTION + "; not with BLOCK, which does not block in a transaction",
    ),
    Difference(
        "XCLAIM or XAUTOCLAIM on a server before 7.0 finds deleted entries",
        "leaves out the nulls that stand for them",
        None,
    ),
    Difference(
        "INCRBYFLOAT or HINCRBYFLOAT answers with more digits than a double holds",
        "rounds to a double, as redis-py's own callbacks do",
        _TRANSACTION,
    ),
    Difference(
        "a double or coordinate in RESP2, which the server writes as text",
        "makes a number of it: the text written here is the shortest that means the same (Valkey's "
        "own for coordinates); the server may have written it with other digits",
        _TRANSACTION,
    ),
    Difference(
        "an array, map or set holds errors: EXEC, scripts",
        "reports the first of them as the error of the whole command",
        _BATCH,
    ),
    Difference(
        "an error or a status holds bytes that are not UTF-8, such as a binary key that it quotes",
        "closes the connection",
        None,
    ),
    Difference(
        "a verbatim string (RESP3: INFO, CLIENT LIST and others) holds bytes that are not UTF-8",
        "puts replacement characters in their places",
        "RESP2",
    ),
    Difference(
        "a big number or an attribute in RESP3: scripts, DEBUG PROTOCOL, modules",
        "aborts the process",
        "RESP2",
    ),
    Difference(
        "a reply is nested more than 100 levels deep",
        "closes the connection",
        None,
    ),
    Difference(
        "a command's name is not UTF-8",
        "refuses it on a dedicated connection, before it is sent",
        None,
    ),
    Difference(
        "a blocking command has a timeout that is no number, negative or out of range",
        "refuses it on a dedicated connection, before it is sent, in words of its own; those that "
        "the server has for it are restored, as far as nothing else is wrong with the command",
        _BATCH,
    ),
    Difference(
        "XREAD or XREADGROUP has a stream, group or consumer called block",
        "takes what follows it for a timeout and refuses the command on a dedicated connection",
        _BATCH,
    ),
)
