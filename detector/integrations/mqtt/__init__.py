"""The MQTT bridge: events of a feed, and the states of its cameras and sites, for home automation."""
