//! Where a table goes: how wide it is, and whether it has colours.

use std::{
    io::IsTerminal,
    os::fd::AsFd,
    sync::atomic::{AtomicU8, Ordering},
};

use clap::ValueEnum;

/// When there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What the command line asks for. Set once, before anything is shown.
static ASKED: AtomicU8 = AtomicU8::new(Colour::Auto as u8);

/// Sets when this process uses colours.
pub(crate) fn colour(when: Colour) {
    ASKED.store(when as u8, Ordering::Relaxed);
}

/// The narrowest screen that is believed.
const NARROWEST: usize = 20;

/// Where a table goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Screen {
    /// Columns; without a number nothing is cut.
    pub width: Option<usize>,
    /// Whether there are colours.
    pub colours: bool,
}

impl Screen {
    pub(crate) fn stdout() -> Self {
        Self::of(&std::io::stdout())
    }

    pub(crate) fn stderr() -> Self {
        Self::of(&std::io::stderr())
    }

    /// A file has neither an edge nor colours, but for who asks for them: `COLUMNS`, `--color always`.
    fn of(stream: &(impl AsFd + IsTerminal)) -> Self {
        let terminal = stream.is_terminal();
        let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let found = || terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0));
        let width = asked.or_else(|| found().filter(|_| terminal)).filter(|width| *width >= NARROWEST);
        Self { width, colours: coloured(terminal) }
    }

    /// The text in a colour, if there are any.
    pub(crate) fn paint(self, text: &str, colour: Option<&str>) -> String {
        match colour.filter(|_| self.colours && !text.is_empty()) {
            Some(colour) => format!("\x1b[{colour}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

fn coloured(terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    match ASKED.load(Ordering::Relaxed) {
        asked if asked == Colour::Always as u8 => true,
        asked if asked == Colour::Never as u8 => false,
        _ => terminal && !set("NO_COLOR") && !dumb(),
    }
}
