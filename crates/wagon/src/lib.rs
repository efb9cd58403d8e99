//! A wagon and its plugin.yaml: read, check, choose for a host, write.
