"""Writes Parquet files in ways that are rare.

    make_parquet.py FOLDER
"""

import base64
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption


class Keys(encryption.KmsClient):
    """Hands out the only key there is."""

    def __init__(self, _):
        super().__init__()

    def wrap_key(self, key_bytes, _):
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key, _):
        return base64.b64decode(wrapped_key)


folder = pathlib.Path(sys.argv[1])
table = pa.table({"n": pa.array(range(1000)), "word": pa.array([f"word {n % 7}" for n in range(1000)])})
for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    pq.write_table(table, folder / f"{codec}.parquet", compression=codec)
for name, plaintext in [("encrypted", False), ("encrypted_columns", True)]:
    settings = encryption.EncryptionConfiguration(
        footer_key="key", column_keys={"key": ["word"]}, plaintext_footer=plaintext, double_wrapping=False)
    factory = encryption.CryptoFactory(Keys)
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), settings)
    with pq.ParquetWriter(folder / f"{name}.parquet", table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    try:
        pq.read_table(folder / f"{name}.parquet")
    except OSError:
        continue
    sys.exit(f"{name} can be read without a key")
