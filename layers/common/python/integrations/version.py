"""The version of the bundle, once."""

VERSION = "0.1.0"
