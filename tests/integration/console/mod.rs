//! What the console lives on: its files, and the API behind every screen.

mod alerts;
mod budget;
mod events;
mod explain;
mod maps;
mod payees;
mod replay;
mod routes;
mod rules;
mod shell;
mod stream;
mod words;
