"""Where files lie, and how they appear whole: places, mirrors of a store, atomic writing, locks, digests, Parquet."""
