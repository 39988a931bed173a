"""Requests: the view that the guard has of a request, and the sources of its token."""
