"""The protocol of docs/PROTOCOL.md once more, written from that page and from the RFCs."""
