//! What the console lives on: its files, and the API behind every screen.

mod shell;
