"""Ask one model for text: vendors, their wires and their errors. Nothing of routing, money or MCP."""
