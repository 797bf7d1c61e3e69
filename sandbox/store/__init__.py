"""The only place with SQLAlchemy: tables, queries, transactions, migrations."""
