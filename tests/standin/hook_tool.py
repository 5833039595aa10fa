"""A hook tool, as the charm finds it on its PATH: every tool's name is a link to a copy of this file.

It hands its name, its arguments and, where one of them is "-", its input to the unit agent, and prints the answer. A
charm calls dozens of tools in every hook, so this imports only what starts at once.
"""

import _socket
import os
import sys


def read(descriptor: int) -> bytes:
    """All that can be read from a file."""
    chunks = iter(lambda: os.read(descriptor, 65536), b"")
    return b"".join(chunks)


def with_files_read(argument: str) -> str:
    """KEY#file=PATH as KEY=CONTENT: so secrets come, and the agent sees none of the charm's files."""
    key, separator, path = argument.partition("#file=")
    return f"{key}={read(os.open(path, os.O_RDONLY)).decode()}" if separator else argument


def main() -> int:
    arguments = [os.path.basename(sys.argv[0]), *map(with_files_read, sys.argv[1:])]  # noqa: PTH119 - see above
    stdin = read(0) if "-" in arguments else b""
    parts = [*(argument.encode() for argument in arguments), stdin]
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(os.environ["JUJU_AGENT_SOCKET_ADDRESS"])
    connection.sendall(b"%d\n" % len(parts) + b"".join(b"%d\n%b" % (len(part), part) for part in parts))
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
    code, _, output = answer.partition(b"\n")
    os.write(2 if code != b"0" else 1, output)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
