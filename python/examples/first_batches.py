"""The first k batches: no more is read than that."""

import itertools
import sys

import tfarrow

ds = tfarrow.open(sys.argv[1], batch_rows=32, infer_records=100)
for batch in itertools.islice(ds, 3):
    print(batch.num_rows, batch["label"][:10], batch["writer"][:2])

# The same rows, in one piece.
print(ds.take(96).to_polars().head(3))
