"""Cameras that are watched for months: connections, reconnection, devices."""
