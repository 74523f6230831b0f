//! Where a command takes a password from: a file, a pipe or the terminal, and never an argument, which every process of the
//! machine can read.

use std::{
    fs::File,
    io::{IsTerminal, Read, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use terminal::Term;

use zeroize::Zeroizing;

use crate::{access::Password, say, text::quoted};

/// Bytes of a file that are read.
const FILE_MAX: u64 = 4096;

/// Where a password comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct PasswordArg {
    /// A file whose first line is the password; `-` reads standard input. Without it a terminal is asked
    #[arg(long = "password-file", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl PasswordArg {
    /// The password for a user; `None` if there is neither file nor terminal, or nothing was typed.
    ///
    /// # Errors
    /// If the file cannot be read, two entries differ, or the password may not be.
    pub(crate) fn read(&self, user: &str) -> anyhow::Result<Option<Password>> {
        let password = match &self.file {
            Some(path) => Some(first_line(path)?),
            None if stdin().is_terminal() && Term::stderr().is_term() => ask(user)?,
            None => None,
        };
        if let Some(password) = &password {
            password.check(user).map_err(|why| anyhow!(why))?;
        }
        Ok(password)
    }
}

fn first_line(path: &Path) -> anyhow::Result<Password> {
    let mut text = Zeroizing::new(String::with_capacity(FILE_MAX as usize));
    let read = match path == Path::new("-") {
        true => stdin().lock().take(FILE_MAX).read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text)),
    };
    read.with_context(|| say!("the password cannot be read from {path}", path = path.display()))?;
    Ok(Password::from(text.lines().next().unwrap_or_default().to_owned()))
}

/// Asks twice; nothing is shown of what is typed.
fn ask(user: &str) -> anyhow::Result<Option<Password>> {
    let terminal = Term::stderr();
    terminal.write_str(&(say!("password of {user} (nothing: none)", user = quoted(user)) + ": "))?;
    let typed = Zeroizing::new(terminal.read_secure_line()?);
    if typed.is_empty() {
        return Ok(None);
    }
    terminal.write_str(&(say!("once more") + ": "))?;
    let again = Zeroizing::new(terminal.read_secure_line()?);
    match again == typed {
        true => Ok(Some(Password::from(typed.to_string()))),
        false => Err(anyhow!(say!("the two are not the same; nothing was changed"))),
    }
}
