"""What DuckDB reads of Parquet files: a JSON object for each, see lab/real/readers_test.py."""

import json
import sys

import duckdb

UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64}


def cell(name, kind):
    """An expression for the value as text; NULL stays NULL."""
    column = '"' + name.replace('"', '""') + '"'
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"'t:' || epoch_us({column})"
    if kind in UNSIGNED:
        return f"'u{UNSIGNED[kind]}:' || {column}"
    if kind == "VARCHAR":
        return f"'s:' || {column}"
    assert kind == "BLOB", kind
    return f"'b:' || lower(hex({column}))"


connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "1"})
for path in sys.argv[1:]:
    columns = [row[:2] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()]
    query = "SELECT " + ", ".join(cell(*column) for column in columns) + " FROM read_parquet(?)"
    rows = connection.execute(query, [path]).fetchall()
    print(json.dumps({"columns": [name for name, _ in columns], "rows": [list(row) for row in rows]}))
