//! What people read: the text of every code, kept in files beside this one.
