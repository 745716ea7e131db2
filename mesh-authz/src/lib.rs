//! Who may call whom: mesh identities and authorization decisions.
