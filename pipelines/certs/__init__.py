"""A private certificate authority, party certificates and signing keys, for people without a PKI."""
