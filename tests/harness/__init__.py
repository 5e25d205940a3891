"""What plays, end-to-end and crash tests share: a server to start, a next hop to script, a client."""
