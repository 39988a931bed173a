"""The ASGI middleware, for requests and WebSockets."""
