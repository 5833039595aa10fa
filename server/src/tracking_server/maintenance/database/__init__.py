"""The database's schema: where it stands, what an upgrade would do, the upgrade itself, and additional indexes."""
