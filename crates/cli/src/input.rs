use std::io::{BufRead as _, IsTerminal as _, Read as _, stdin};

use zeroize::Zeroizing;

use crate::failure::Failure;

/// A password: typed twice at a terminal, or one line of standard input. Never an argument, for those are seen by all.
pub fn new_password() -> Result<Zeroizing<String>, Failure> {
    if !stdin().is_terminal() {
        return line("the password");
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|cause| unreadable(&cause))
    };
    let first = ask("New password: ")?;
    let second = ask("The same again: ")?;
    if first != second {
        return Err(Failure::new("the two passwords differ; nothing was changed"));
    }
    Ok(first)
}

/// Has somebody at a terminal say `yes`. A program has to say so with `--yes`.
pub fn confirm(question: &str) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::new(format!("{question} Give --yes if so; nothing was changed")));
    }
    eprint!("{question} Type yes to go on: ");
    match line("yes")?.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::new("that was not yes; nothing was changed")),
    }
}

/// One line of standard input, without its end. White space stays, for the password rules to judge.
pub fn line(what: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = stdin().lock().read_line(&mut text).map_err(|cause| unreadable(&cause))?;
    if read == 0 {
        return Err(Failure::new(format!("standard input ended where {what} was expected")));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

/// All of standard input, up to 64 KiB.
pub fn everything() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    stdin().lock().take(64 * 1024).read_to_string(&mut text).map_err(|cause| unreadable(&cause))?;
    Ok(text)
}

fn unreadable(cause: &std::io::Error) -> Failure {
    Failure::new(format!("standard input cannot be read: {cause}"))
}
