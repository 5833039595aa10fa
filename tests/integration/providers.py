"""The applications that the charm is related to, played on real servers and in the words of the published charms."""

from __future__ import annotations

import json
import secrets

import psycopg
from psycopg import sql
from tests.standin.model import Relation, Secret
from tests.standin.player import Player

from support.postgres import PostgresServer
from support.s3 import S3Server

# What must be quoted in a URI, in TOML, in a shell and in a log is in every password.
_AWKWARD = "/@:%+ ?#&'\"\\$é"


class PostgreSQL(Player):
    """``postgresql-k8s`` (postgresql_client, v0): a role and a database for each relation, the password in a secret."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._secrets: dict[int, Secret] = {}
        self.passwords: list[str] = []
        """All that were ever handed out."""

    def relation_changed(self, relation: Relation) -> None:
        asked = self.remote_data(relation)
        if relation.id in self._secrets or "database" not in asked:
            return
        if "username" not in json.loads(asked.get("requested-secrets", "[]")):
            raise AssertionError("the charm does not ask for secrets")
        role, database = f"relation_id_{relation.id}", asked["database"]
        login = self._login(role)
        with self._connect() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), login["password"])
            )
            exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
            if not exists:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(role))
                )
            else:
                self.adopt(database, role)
        self._secrets[relation.id] = self.add_secret(relation, login)
        tls = self.add_secret(relation, {"tls": "False"})
        self.write(
            relation,
            {
                "data": json.dumps(asked),
                "database": database,
                "endpoints": f"{self._server.address}:{self._server.port}",
                "secret-user": self._secrets[relation.id].uri,
                "secret-tls": tls.uri,
                "version": "16.4",
            },
        )

    def relation_broken(self, relation: Relation) -> None:
        """As the published charm: the role goes, the database and its data stay."""
        if self._secrets.pop(relation.id, None) is not None:
            with self._connect() as connection:
                connection.execute(
                    sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(f"relation_id_{relation.id}"))
                )

    def adopt(self, database: str, role: str) -> None:
        """Gives a role all of a database that others made."""
        with psycopg.connect(self._server.uri(database, "postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), sql.Identifier(role))
            )
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                connection.execute(
                    sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(str(table)), sql.Identifier(role))
                )

    def rotate(self, relation: Relation) -> None:
        """A new password: valid at once, the old one is refused at once, and open sessions end."""
        role = f"relation_id_{relation.id}"
        login = self._login(role)
        with self._connect() as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), login["password"]))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
        self.update_secret(self._secrets[relation.id], login)

    def uri(self, relation: Relation) -> str:
        """A superuser's URI of the database that the relation got."""
        return self._server.uri(relation.data[self.name]["database"], "postgres")

    def _login(self, role: str) -> dict[str, str]:
        password = secrets.token_urlsafe(9) + _AWKWARD
        self.passwords.append(password)
        return {"username": role, "password": password, "uris": f"postgresql://{role}:{password}@…"}

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._server.admin_uri, autocommit=True)


class S3Integrator(Player):
    """``s3-integrator`` (s3, v1): a bucket that exists, its keys in a secret."""

    def __init__(self, server: S3Server, bucket: str, path: str = "mlflow/artifacts") -> None:
        self._server = server
        self.bucket = bucket
        self.path = path
        self._answered: set[int] = set()

    def relation_changed(self, relation: Relation) -> None:
        if relation.id in self._answered or "version" not in self.remote_data(relation):
            return
        self._answered.add(relation.id)
        keys = {"access-key": self._server.access_key, "secret-key": self._server.secret_key}
        self.write(
            relation,
            {
                "version": "1",
                "bucket": self.bucket,
                "path": self.path,
                "endpoint": self._server.endpoint,
                "region": self._server.region,
                "s3-uri-style": "path",
                "secret-extra": self.add_secret(relation, keys).uri,
            },
        )

    def objects(self) -> set[str]:
        """The keys of all objects in the bucket."""
        pages = self._server.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"] for page in pages for item in page.get("Contents", ())}
