"""The database URI: read as SQLAlchemy and libpq read it, written for asyncpg and for SQLAlchemy again.

The grammar is that of SQLAlchemy's URLs (which stock MLflow takes), plus libpq's ``host1:1,host2:2`` lists.
"""

from __future__ import annotations

import enum
import re
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlencode

from tracking_server.settings import MASK, InvalidValue, Secret

_URI = re.compile(
    r"(?P<dialect>[a-z]+)(?:\+(?P<driver>\w+))?://"
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<hosts>[^/?]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<name>[^:@\[\]]*))(?::(?P<port>\d*))?")

_POSTGRES_DRIVERS = (None, "psycopg", "psycopg2", "psycopg2cffi", "asyncpg")
_SQLITE_DRIVERS = (None, "pysqlite")
_DEFAULT_PORT = 5432

# libpq's connection parameters: those that asyncpg reads too, and those that it has no word for.
_SHARED_NAMES = """
    sslmode sslcert sslkey sslrootcert sslcrl sslpassword sslnegotiation ssl_min_protocol_version
    ssl_max_protocol_version target_session_attrs passfile service krbsrvname gsslib options application_name
"""
_LIBPQ_NAMES = """
    channel_binding connect_timeout hostaddr client_encoding fallback_application_name keepalives keepalives_idle
    keepalives_interval keepalives_count tcp_user_timeout sslcompression sslcertmode sslcrldir sslsni requirepeer
    require_auth min_protocol_version max_protocol_version gssencmode gssdelegation load_balance_hosts
"""
_READ_BY_BOTH = frozenset(_SHARED_NAMES.split())
_READ_BY_LIBPQ = frozenset(_LIBPQ_NAMES.split())
_SECRET_PARAMETERS = ("sslpassword",)
# What protects a connection and cannot be kept by asyncpg is told, not dropped in silence.
_PROTECTING = {"channel_binding": ("require",), "gssencmode": ("require",), "require_auth": (), "requirepeer": ()}


class DatabaseKind(enum.StrEnum):
    """The databases as native handlers see them; OTHER is forwarded whole to stock MLflow."""

    POSTGRESQL = "postgresql"
    SQLITE = "sqlite"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Host:
    """A PostgreSQL server's name, address or socket folder, and its port."""

    name: str
    port: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUri:
    """A database URI in its parts, percent-decoded. ``parameters`` are the query's, in order."""

    ALLOWED: ClassVar[str] = (
        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE (also postgresql+psycopg:// and postgresql+psycopg2://),"
        " sqlite:///PATH, or, forwarded whole to stock MLflow, mysql+DRIVER://… and mssql+DRIVER://…"
    )

    dialect: str
    driver: str | None = None
    user: str | None = None
    password: Secret | None = None
    hosts: tuple[Host, ...] = ()
    database: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    text: Secret = Secret("")

    @classmethod
    def parse(cls, text: str) -> DatabaseUri:
        """Reads a URI. Raises InvalidValue, whose message never repeats the text: it may hold a password."""
        match = _URI.fullmatch(text.strip())
        if match is None:
            raise InvalidValue(cls.ALLOWED)
        dialect, driver = match["dialect"], match["driver"]
        if dialect in ("mysql", "mssql"):
            return cls(dialect, driver, text=Secret(text.strip()))
        query = parse_qsl(match["query"] or "", keep_blank_values=True)
        database = unquote(match["database"] or "")
        if dialect == "sqlite" and driver in _SQLITE_DRIVERS:
            return cls._sqlite(match, database, query, text)
        if dialect in ("postgresql", "postgres") and driver in _POSTGRES_DRIVERS:
            return cls._postgresql(match, database, query, text)
        raise InvalidValue(cls.ALLOWED)

    @classmethod
    def _sqlite(cls, match: re.Match[str], database: str, query: list[tuple[str, str]], text: str) -> DatabaseUri:
        if match["hosts"] or match["user"]:
            raise InvalidValue("sqlite:///relative/path or sqlite:////absolute/path, with three or four slashes")
        if not database or database == ":memory:" or "mode=memory" in (match["query"] or ""):
            raise InvalidValue("sqlite:///PATH; several processes share the database, so it cannot live in memory")
        return cls("sqlite", match["driver"], database=database, parameters=tuple(query), text=Secret(text.strip()))

    @classmethod
    def _postgresql(cls, match: re.Match[str], database: str, query: list[tuple[str, str]], text: str) -> DatabaseUri:
        given: dict[str, list[str]] = {}
        for name, value in query:
            given.setdefault(name, []).append(value)
        user = unquote(match["user"]) if match["user"] else None
        password = unquote(match["password"]) if match["password"] is not None else None
        hosts = _hosts(match["hosts"].split(","), decode=True) if match["hosts"] else ()
        if "host" in given or "port" in given:
            hosts = _query_hosts(given.pop("host", []), given.pop("port", []), hosts)
        # As in stock (SQLAlchemy), the query wins over the part before it.
        user = given.pop("user", [user])[-1]
        password = given.pop("password", [password])[-1]
        database = given.pop("dbname", [database])[-1] or ""
        for name in given:
            if name not in _READ_BY_BOTH | _READ_BY_LIBPQ:
                raise InvalidValue(f"no parameter {name!r}; libpq's are {', '.join(sorted(_READ_BY_BOTH))} and others")
        parameters = tuple((name, values[-1]) for name, values in given.items())
        secret = None if password is None else Secret(password)
        return cls("postgresql", match["driver"], user, secret, hosts, database, parameters, Secret(text.strip()))

    @property
    def kind(self) -> DatabaseKind:
        if self.dialect == "postgresql":
            return DatabaseKind.POSTGRESQL
        if self.dialect == "sqlite" and not self.database.startswith("file:"):
            return DatabaseKind.SQLITE
        return DatabaseKind.OTHER

    def parameter(self, name: str) -> str | None:
        """The query's parameter ``name``, or None."""
        return dict(self.parameters).get(name)

    def with_parameters(self, **changes: str | None) -> DatabaseUri:
        """The same with these parameters set; None leaves one as it is."""
        given = dict(self.parameters) | {name: value for name, value in changes.items() if value is not None}
        return replace(self, parameters=tuple(given.items()))

    def with_password(self, password: Secret | None) -> DatabaseUri:
        """The same with this password; None leaves it as it is."""
        return self if password is None else replace(self, password=password)

    def masked(self) -> str:
        """The URI for eyes: without password, and without the query where we cannot tell what is secret in it."""
        if self.dialect not in ("postgresql", "sqlite"):
            return f"{self._scheme()}://{MASK}"
        if self.dialect == "sqlite":
            return f"{self._scheme()}:///{self.database}{_query(self.parameters)}"
        shown = tuple((name, MASK if name in _SECRET_PARAMETERS else value) for name, value in self.parameters)
        password = None if self.password is None else MASK
        authority = _authority(self.user, password, _netloc(self.hosts))
        return f"{self._scheme()}://{authority}/{quote(self.database)}{_query(shown)}"

    def for_asyncpg(self) -> str:
        """The DSN that asyncpg takes: parameters it would send to the server as settings are left out."""
        kept = [(name, value) for name, value in self.parameters if name in _READ_BY_BOTH]
        if self.parameter("sslrootcert") == "system":
            kept = [(name, _system_certificates() if name == "sslrootcert" else value) for name, value in kept]
        password = None if self.password is None else self.password.reveal()
        authority = _authority(self.user, password, _netloc(self.hosts))
        return f"postgresql://{authority}/{quote(self.database, safe='')}{_query(tuple(kept))}"

    def for_sqlalchemy(self) -> str:
        """The URI for stock MLflow: psycopg 3, or the absolute path of the SQLite file."""
        if self.kind is DatabaseKind.SQLITE:
            return f"sqlite:///{quote(str(self.sqlite_path()), safe='/')}{_query(self.parameters)}"
        if self.kind is DatabaseKind.OTHER:
            return self.text.reveal()
        password = None if self.password is None else self.password.reveal()
        netloc, hosts = "", self.hosts
        if len(hosts) == 1 and not hosts[0].name.startswith("/"):
            netloc, hosts = _netloc(hosts), ()
        where: tuple[tuple[str, str], ...] = ()
        if hosts:
            ports = ",".join(str(host.port or _DEFAULT_PORT) for host in hosts)
            where = (("host", ",".join(host.name for host in hosts)), ("port", ports))
        authority = _authority(self.user, password, netloc)
        return f"postgresql+psycopg://{authority}/{quote(self.database, safe='')}{_query(where + self.parameters)}"

    def sqlite_path(self) -> Path:
        """The database file, absolute. Raises ValueError for another kind of database."""
        if self.kind is not DatabaseKind.SQLITE:
            raise ValueError("not an SQLite file")
        return Path(self.database).absolute()

    def unkept_protections(self) -> list[str]:
        """The parameters that protect a connection and that native connections do not apply."""
        return [
            f"{name}={value}"
            for name, value in self.parameters
            if name in _PROTECTING and (not _PROTECTING[name] or value in _PROTECTING[name])
        ]

    def _scheme(self) -> str:
        return self.dialect if self.driver is None else f"{self.dialect}+{self.driver}"

    def __repr__(self) -> str:
        return f"DatabaseUri({self.masked()!r})"


def _hosts(specifications: list[str], *, decode: bool) -> tuple[Host, ...]:
    found = []
    for specification in specifications:
        match = _HOST.fullmatch(specification)
        if match is None:
            raise InvalidValue(
                "HOST:PORT after the '@', an IPv6 address in brackets, a port of digits;"
                " write '@', ':' and '/' inside a password as %40, %3A and %2F"
            )
        name = match["ipv6"] or (unquote(match["name"]) if decode else match["name"])
        found.append(Host(name, int(match["port"]) if match["port"] else None))
    return tuple(found)


def _query_hosts(names: list[str], ports: list[str], hosts: tuple[Host, ...]) -> tuple[Host, ...]:
    """Hosts given as ``?host=a:1&host=b:2`` or as libpq's ``?host=a,b&port=1,2``."""
    if len(names) > 1 and not ports:
        return _hosts(names, decode=False)
    split = [name for each in names for name in each.split(",")] or [host.name for host in hosts] or [""]
    if not ports:
        plain = len(split) == 1 and not split[0].startswith("/")
        return _hosts(split, decode=False) if plain else tuple(Host(name) for name in split)
    numbers = [number for each in ports for number in each.split(",")]
    numbers = numbers * len(split) if len(numbers) == 1 else numbers
    if len(numbers) != len(split) or not all(number.isdecimal() or not number for number in numbers):
        raise InvalidValue("as many ports of digits as hosts in the query: host=a,b&port=5432,5432")
    return tuple(Host(name, int(number) if number else None) for name, number in zip(split, numbers, strict=True))


def _netloc(hosts: tuple[Host, ...]) -> str:
    written = []
    for host in hosts:
        name = f"[{host.name}]" if ":" in host.name else quote(host.name, safe="")
        written.append(f"{name}:{host.port}" if host.port is not None else name)
    return ",".join(written)


def _authority(user: str | None, password: str | None, netloc: str) -> str:
    if user is None and password is None:
        return netloc
    secret = "" if password is None else ":" + (MASK if password == MASK else quote(password, safe=""))
    return f"{quote(user or '', safe='')}{secret}@{netloc}"


def _query(parameters: tuple[tuple[str, str], ...]) -> str:
    return "?" + urlencode(parameters, safe="*/", quote_via=quote) if parameters else ""


def _system_certificates() -> str:
    return ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
