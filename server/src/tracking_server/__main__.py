"""``python -m tracking_server`` is ``tracking-server``."""

from tracking_server.cli import main

if __name__ == "__main__":
    main(prog_name="tracking-server")
