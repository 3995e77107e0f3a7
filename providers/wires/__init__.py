"""One module per wire: how a request is built and a response parsed."""
