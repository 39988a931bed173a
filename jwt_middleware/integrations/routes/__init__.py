"""Reads the routes of an application, in each supported framework."""
