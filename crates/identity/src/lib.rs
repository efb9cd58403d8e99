//! The CA, certificates, SPIFFE names, join tokens and rustls settings.
