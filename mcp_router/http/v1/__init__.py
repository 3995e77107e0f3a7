"""The endpoints under `/v1`: the router for clients that speak OpenAI's or Anthropic's API."""
