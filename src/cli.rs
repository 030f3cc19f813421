//! Every flag and verb, declared once.
