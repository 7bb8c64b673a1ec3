"""Parts of a file by HTTP, over a connection that is kept."""

import http.client
from urllib.parse import urlsplit

PIECE = 64 << 10


class OriginError(Exception):
    """The origin does not give what was asked for."""


class Origin:
    """One connection to the origin of a URL; `source` is the own address that it comes from."""

    def __init__(self, url, length, validator=None, source=None):
        self.url, self.length, self._validator = urlsplit(url), length, validator
        self._source = (source, 0) if source else None
        self._connection = None

    def read(self, start, end):
        """The bytes from `start` to before `end`, piece by piece. Whoever stops earlier leaves the
        connection unusable, and the next to read makes a new one."""
        response = self._ask(start, end)
        left, whole = end - start, False
        try:
            while left:
                piece = response.read1(min(PIECE, left))
                if not piece:
                    raise OriginError("the response ended too early")
                left -= len(piece)
                # Before the last piece is passed on, as nobody may come back for more.
                whole = not left
                yield piece
        finally:
            if not whole:
                self.close()

    def all(self, start, end):
        return b"".join(self.read(start, end))

    def _ask(self, start, end):
        """Asks again over a new connection where the origin has closed the one that was kept."""
        for is_last in (self._connection is None, True):
            try:
                return self._checked(self._asked(start, end), start, end)
            except (http.client.HTTPException, OSError) as error:
                self.close()
                if is_last:
                    raise OriginError(f"{error!r}") from error
        return None

    def _asked(self, start, end):
        if self._connection is None:
            connect = {"timeout": 30, "source_address": self._source}
            self._connection = http.client.HTTPConnection(self.url.netloc, **connect)
        query = f"?{self.url.query}" if self.url.query else ""
        headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        self._connection.request("GET", (self.url.path or "/") + query, headers=headers)
        return self._connection.getresponse()

    def _checked(self, response, start, end):
        expected = f"bytes {start}-{end - 1}/{self.length}"
        if response.status != 206 or response.getheader("Content-Range") != expected:
            self.close()
            raise OriginError(f"status {response.status}")
        if self._validator not in (None, validator_of(response, self.length)):
            self.close()
            raise OriginError("the file has changed")
        return response

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None


def look(url, source=None):
    """The length and the validator of the file under a URL."""
    parts = urlsplit(url)
    source = (source, 0) if source else None
    connection = http.client.HTTPConnection(parts.netloc, timeout=30, source_address=source)
    connection.request("HEAD", parts.path or "/")
    response = connection.getresponse()
    connection.close()
    if response.status != 200:
        raise OriginError(f"status {response.status}")
    length = int(response.getheader("Content-Length"))
    return length, validator_of(response, length)


def validator_of(response, length):
    """What names the version in a job: a strong entity tag, or nothing."""
    tag = response.getheader("ETag")
    return f"etag {tag}" if tag and not tag.startswith("W/") else None
