"""Verifications, layers and backends as pictures."""
