"""Makes tests/harness importable from every directory below."""
