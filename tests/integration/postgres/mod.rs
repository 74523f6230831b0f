//! Databases as sources, against a real PostgreSQL where there is one.

pub mod reading;
pub mod server;
mod troubles;

use server::Server;

use crate::support::Bench;

/// A configuration that reads a relation of a server as the role `reader`.
pub fn config(server: &Server, relation: &str, more: &str) -> String {
    let (url, secret) = (server.url(), "password_file: secret, tls: off, every: 50ms");
    format!(
        "sources: [{{ name: core, zone: Asia/Shanghai, postgres: {{ url: '{url}', {secret}, {relation}{more} }} }}]\nstate: {{ dir: state }}\n"
    )
}

/// A folder with such a configuration and the password.
pub fn bench(events: &str, config: &str) -> Bench {
    let bench = Bench::new(events, config);
    std::fs::write(bench.path().join("secret"), "geheim\n").unwrap();
    bench
}

/// A schema of its own that the role `reader` may read, whatever is made in it.
pub fn schema(server: &Server, name: &str) {
    server.sql(&format!(
        "CREATE SCHEMA {name}; GRANT USAGE ON SCHEMA {name} TO reader; \
         ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT SELECT ON TABLES TO reader"
    ));
}
