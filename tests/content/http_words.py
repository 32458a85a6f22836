# SPDX-License-Identifier: BSD-3-Clause
"""HTTP/1 and what the services of tests/replay/chains/http.yaml make of it, out of the RFCs and
docs/opes.md alone: a second opinion that shares nothing with glassbox.

A connection is two byte strings. read_messages() takes one apart; expect() says what each message
is to leave as; matches() holds that to what left. A body that was re-framed is compared as what it
says: the sizes of its chunks are the box's own affair, that they are well-formed is not.
"""

import re
import zlib

SYSTEM = b"http://opes.example/system"
ASKED = b"X-Asked-Through: glassbox\r\n"
MARK = b"X-Adapted-By: glassbox, and more of it\r\n"
WORDS = {b"the": b"every single one of the", b"function": b"f"}
WIDTH = max(map(len, WORDS))
# The codings that are taken apart for a substitution; a body in another one is to pass as it came.
CODINGS_READ = (b"gzip", b"x-gzip", b"deflate")

_PATTERN = re.compile(b"|".join(sorted(map(re.escape, WORDS), key=len, reverse=True)))
_REQUEST = re.compile(rb"[A-Z][A-Z_-]* [^ \r\n\x00]+ HTTP/1\.[01]")
_STATUS = re.compile(rb"HTTP/1\.[01] [1-9]\d\d( [^\r\n]*)?")
_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:([^\x00\r\n]|\r\n[ \t])*")
_VALIDATORS = {b"etag", b"content-md5", b"digest", b"content-digest", b"repr-digest",
               b"accept-ranges"}
_TEXT = {b"application/json", b"application/javascript", b"application/xml",
         b"application/xhtml+xml"}


class NotHttp(Exception):
    """What cannot be read; the text says why."""


class Message:
    """One message as it came; `raw` is all of it, `body` what it says."""

    def __init__(self, start, fields):
        self.start, self.fields = start, fields
        self.framing = "none"  # none, length, chunked, close
        self.body = self.trailers = b""
        self.begin = self.end = 0
        self.whole = False

    def values(self, name):
        return [value for field, value in self.fields if field.lower() == name]

    def value(self, name):
        return (self.values(name) or [b""])[0]

    @property
    def status(self):
        return int(self.start[9:12])

    @property
    def version(self):
        at = self.start.find(b"HTTP/1.")
        return self.start[at + 5:at + 8]


def substituted(body):
    return _PATTERN.sub(lambda match: WORDS[match.group()], body)


# --- taking apart --------------------------------------------------------------------------------


def _head_at(data, at, pattern):
    """(Message, behind its head); None: it is not all there."""
    while data[at:at + 2] == b"\r\n":  # RFC 9112 2.2
        at += 2
    end = data.find(b"\r\n\r\n", at)
    first = data[at:at + 9000].split(b"\n", 1)[0]
    if end < 0:
        line = first.rstrip(b"\r")
        if b"\n" in data[at:at + 9000] and (not pattern.fullmatch(line) or first == line):
            raise NotHttp(f"start line {first[:40]!r}")
        return None
    # RFC 9112 5.2: a line that begins with a blank continues the one before it.
    lines = re.split(rb"\r\n(?![ \t])", data[at:end])
    if not pattern.fullmatch(lines[0]):
        raise NotHttp(f"start line {lines[0][:40]!r}")
    fields = []
    for line in lines[1:]:
        # RFC 9112 5.1: blanks ahead of the colon are a fault, which is forgiven in a response.
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" ") if pattern is _STATUS else name
        if not colon or not _FIELD.fullmatch(name + b":" + value):
            raise NotHttp(f"field {line[:40]!r}")
        fields.append((name, value.strip(b" \t")))
    return Message(lines[0], fields), end + 4


def _chunks(data, at, message):
    """The chunks behind a head; the end of the message, or None."""
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        size = data[at:line].split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
            raise NotHttp(f"chunk size {size[:20]!r}")
        length, at = int(size, 16), line + 2
        if length == 0:
            break
        message.body += data[at:at + length]
        if at + length + 2 > len(data):
            return None
        if data[at + length:at + length + 2] != b"\r\n":
            raise NotHttp("a chunk without its line end")
        at += length + 2
    end = at if data[at:at + 2] == b"\r\n" else data.find(b"\r\n\r\n", at) + 2
    if end < at or len(data) < end + 2:
        return None
    message.trailers = data[at:end + 2]
    return end + 2


def read_messages(data, requests=None):
    """(messages, behind the last whole one, why it ends there). With `requests`, of responses."""
    messages, at, answered = [], 0, 0
    while at < len(data):
        message, body = None, at
        try:
            head = _head_at(data, at, _REQUEST if requests is None else _STATUS)
            if head is None:
                return messages, at, "cut"
            message, body = head
            message.begin = at
            asked = None
            if requests is not None:
                if answered >= len(requests):
                    return messages, at, "an answer to nothing"
                asked = requests[answered]
                answered += message.status >= 200
            end = _body_of(data, body, message, asked)
        except NotHttp as reason:
            return messages, at, str(reason)
        message.whole = end is not None
        message.end = end or len(data)
        messages.append(message)
        at = message.end
        switched = requests is not None and (
            message.status == 101 or asked.start.startswith(b"CONNECT ") and message.status < 300)
        if switched or requests is None and message.start.startswith(b"CONNECT "):
            return messages, at, "no longer HTTP"
        if not message.whole:
            return messages, at, "cut"
    return messages, at, ""


def _body_of(data, at, message, asked):
    """Reads the body, and says where the message ends (RFC 9112 6.3); None: not in here."""
    codings = [value.lower() for value in message.values(b"transfer-encoding")]
    response = asked is not None
    if response and (asked.start.startswith(b"HEAD ") or message.status // 100 == 1 or
                     message.status in (204, 304)):
        return at
    if codings:
        if codings[-1].split(b",")[-1].strip() != b"chunked":
            raise NotHttp(f"transfer coding {codings}")
        message.framing = "chunked"
        return _chunks(data, at, message)
    lengths = set(message.values(b"content-length"))
    if lengths:
        if len(lengths) > 1 or not next(iter(lengths)).isdigit():
            raise NotHttp(f"lengths {lengths}")
        length = int(next(iter(lengths)))
        message.framing = "length" if length else "none"
        message.body = data[at:at + length]
        return at + length if at + length <= len(data) else None
    if not response:
        return at
    message.framing = "close"
    message.body = data[at:]
    return len(data)


# --- what is to leave ----------------------------------------------------------------------------


class Expected:
    """What a message is to leave as: its head, and its body as bytes or as what it says."""

    def __init__(self, head, framing, body, trailers=b""):
        self.head, self.framing, self.body, self.trailers = head, framing, body, trailers


def _traced(fields):
    for name in (b"opes-system", b"opes-via"):
        last = [i for i, (field, _) in enumerate(fields) if field.lower() == name]
        if last:
            field, line = fields[last[-1]]
            line = line[:-2]
            fields[last[-1]] = (field, line + (b" " if line.endswith(b":") else b", ") + SYSTEM +
                                b"\r\n")
        elif name == b"opes-system":
            fields.append((b"", b"OPES-System: " + SYSTEM + b"\r\n"))
    return fields


def _lines(data, message):
    """The start line, and each field with its line as it stands."""
    head = data[message.begin:data.index(b"\r\n\r\n", message.begin) + 2]
    start = head.index(message.start) + len(message.start) + 2
    lines = re.split(rb"\r\n(?![ \t])", head[start:])[:-1]
    return head[:start], [(name, line + b"\r\n") for (name, _), line in zip(message.fields, lines)]


def expect_request(data, message):
    start, fields = _lines(data, message)
    fields = [(name, line) for name, line in fields if name.lower() != b"referer"]
    fields = _traced(fields + [(b"", ASKED)])
    behind = data.index(b"\r\n\r\n", message.begin) + 4
    return Expected(start + b"".join(line for _, line in fields) + b"\r\n", "raw",
                    data[behind:message.end])


def is_substituted(message, request):
    """Whether its body is text that may be changed."""
    kind = message.value(b"content-type").split(b";")[0].strip().lower()
    coding = message.value(b"content-encoding").lower()
    readable = coding in (b"", b"identity", *CODINGS_READ)
    control = [part.split(b";")[0].strip().lower()
               for part in message.value(b"cache-control").split(b",")]
    if not readable or b"no-transform" in control or message.values(b"content-range"):
        return False
    if message.framing == "length" and not (request.version == message.version == b"1.1"):
        keeps = b"keep-alive" in message.value(b"connection").lower()
        if message.version == b"1.1":
            keeps = b"close" not in message.value(b"connection").lower()
        if keeps:
            return False
    return message.framing != "none" and (kind.startswith(b"text/") or kind in _TEXT)


def expect_response(data, message, request):
    behind = data.index(b"\r\n\r\n", message.begin) + 4
    if message.status < 200:
        return Expected(data[message.begin:behind], "raw", data[behind:message.end])
    start, fields = _lines(data, message)
    framing, body = "raw", data[behind:message.end]
    if is_substituted(message, request):
        framing = {"chunked": "chunked", "close": "close", "length": "chunked"}[message.framing]
        if message.framing == "length" and not request.version == message.version == b"1.1":
            framing = "close"
        body = substituted(decoded(message))
        fields = [(name, line) for name, line in fields if name.lower() not in _VALIDATORS]
        length = b"Transfer-Encoding: chunked\r\n" if framing == "chunked" else b""
        fields = [(name, length if name.lower() == b"content-length" else line)
                  for name, line in fields]
    fields = _traced(fields + [(b"", MARK)])
    head = start + b"".join(line for _, line in fields) + b"\r\n"
    return Expected(head, framing, body, message.trailers)


# --- what left -----------------------------------------------------------------------------------


def match(expected, message, left, at):
    """Behind the message in `left`, which begins at `at`; raises NotHttp when it differs."""
    if left[at:at + len(expected.head)] != expected.head:
        raise NotHttp(f"head {left[at:at + 400]!r}\n  instead of {expected.head[:400]!r}")
    at += len(expected.head)
    if expected.framing == "raw":
        if left[at:at + len(expected.body)] != expected.body:
            raise NotHttp("the body differs")
        return at + len(expected.body)
    got = Message(b"", [])
    if expected.framing == "close":
        got.body, end = left[at:], len(left)
    else:
        end = _chunks(left, at, got)
    if message.value(b"content-encoding").lower() in CODINGS_READ:
        got.fields = message.fields
        got.body = decoded(got)
    if message.whole:
        if end is None:
            raise NotHttp("the body has no end")
        if got.body != expected.body:
            raise NotHttp(f"a body of {len(got.body)} bytes instead of {len(expected.body)}, "
                          f"or others: {first_difference(got.body, expected.body)}")
        if expected.framing == "chunked" and got.trailers != (expected.trailers or b"\r\n"):
            raise NotHttp(f"trailers {got.trailers!r}")
        return end
    # It is cut in the capture: what may still become a match has not left.
    known = max(0, len(message.body) - WIDTH)
    coded = message.value(b"content-encoding").lower() in CODINGS_READ
    if coded:  # how far a coder's bytes reach is not known
        if not expected.body.startswith(got.body):
            raise NotHttp("the cut body differs")
        return len(left)
    if not expected.body.startswith(got.body[:len(substituted(message.body[:known])) - WIDTH]):
        raise NotHttp("the cut body differs")
    if len(got.body) < len(substituted(message.body[:known])) - WIDTH:
        raise NotHttp("more than a pattern's width of a cut body is missing")
    return len(left)


def first_difference(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"at {at}: {a[max(0, at - 20):at + 20]!r} instead of {b[max(0, at - 20):at + 20]!r}"


def decoded(message):
    """The body without its content coding, as tshark exports it; of a cut one, what can be read."""
    coding = message.value(b"content-encoding").lower()
    if coding not in (b"gzip", b"x-gzip", b"deflate"):
        return message.body
    bits = (31,) if coding != b"deflate" else (15, -15)
    for wbits in bits:
        text, rest = b"", message.body
        try:
            while rest:
                reader = zlib.decompressobj(wbits)
                text += reader.decompress(rest)
                if not reader.eof:
                    return text
                rest = reader.unused_data
                if rest[:2] != b"\x1f\x8b":
                    break
            return text
        except zlib.error:
            continue
    return message.body
