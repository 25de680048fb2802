"""The publisher's door to the network: a process of its own that speaks ZMTP with strangers, within fixed limits."""
