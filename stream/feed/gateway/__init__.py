"""The publisher's gateway to the network: a separate process that serves untrusted ZMTP clients within fixed limits."""
