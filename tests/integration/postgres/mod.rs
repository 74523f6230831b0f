//! Databases as sources, against a real PostgreSQL where there is one.

mod server;
