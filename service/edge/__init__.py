"""What meets the network: the server, its protocol, access, keys, rates, bodies, headers and the request log."""
