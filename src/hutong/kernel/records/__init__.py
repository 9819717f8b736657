"""Records: what people keep and change, in SQL. SQLite beside the data by default, PostgreSQL by URL.

Belongs here: the one set of table definitions, the connection, the migrations. Not here: what a row means; each part of
the house has its own named queries, written in SQLAlchemy Core over `tables`.
"""

from hutong.kernel.records.database import MOST_CONNECTIONS, Connection, Database, RecordsError, database_url

__all__ = ["MOST_CONNECTIONS", "Connection", "Database", "RecordsError", "database_url"]
