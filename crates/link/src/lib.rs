//! A TLS connection in either direction to a gRPC client or a gRPC server.
