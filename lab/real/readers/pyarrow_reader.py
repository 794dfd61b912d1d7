"""What pyarrow reads of Parquet files: a JSON object for each, see lab/real/readers_test.py."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def cells(column):
    if pa.types.is_timestamp(column.type):
        assert column.type.unit == "us" and column.type.tz == "UTC", column.type
        return ["t:" + str(value) if value is not None else None for value in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_unsigned_integer(column.type):
        return [f"u{column.type.bit_width}:{value}" if value is not None else None for value in column.to_pylist()]
    if pa.types.is_string(column.type):
        return ["s:" + value if value is not None else None for value in column.to_pylist()]
    assert pa.types.is_binary(column.type), column.type
    return ["b:" + value.hex() if value is not None else None for value in column.to_pylist()]


for path in sys.argv[1:]:
    table = pq.read_table(path)
    columns = [cells(table.column(name)) for name in table.column_names]
    print(json.dumps({"columns": table.column_names, "rows": [list(row) for row in zip(*columns)]}))
