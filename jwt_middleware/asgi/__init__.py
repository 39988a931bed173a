"""The ASGI face: requests and WebSockets."""
