//! The runbook of keys: its commands, as written, in their order, and what it says that they print.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::authority::{Authority, CONFIGURATION};
use crate::keys::{rsa_pem, start};
use crate::server::Server;

const RUNBOOK: &str = "../../docs/operations/keys.md";

/// For the whole of it.
const LONGEST: Duration = Duration::from_secs(180);

/// A block of commands, and the lines that stand below it.
struct Block {
    commands: String,
    printed: Option<String>,
}

#[test]
fn the_runbook_of_keys_does_what_it_says() {
    let authority = authority();
    let blocks = blocks(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(RUNBOOK)).unwrap());
    assert!(blocks.len() > 15, "most of it is run");
    let outputs = tempfile::tempdir().unwrap();
    let status = supervise(&authority, &script(&blocks, outputs.path()), outputs.path());

    for (number, block) in blocks.iter().enumerate() {
        let printed = fs::read_to_string(outputs.path().join(number.to_string()));
        let printed = printed.unwrap_or_else(|_| panic!("never run: {}", block.commands));
        let expected = block.printed.as_deref().unwrap_or("…\n");
        assert!(
            is_like(&lines(&printed), &lines(expected)),
            "{}printed\n{printed}and not\n{expected}",
            block.commands
        );
    }
    assert!(status.success(), "the last block failed: {status}");
}

/// One whose guards wait for seconds, with the files of two old keys beside it.
fn authority() -> Authority {
    let authority = [
        ("ATTESTO_ALLOW_SHORT_INTERVALS", "true"),
        ("ATTESTO_JWKS_MAX_AGE", "4s"),
        ("ATTESTO_JWKS_STALE_WHILE_REVALIDATE", "0s"),
        ("ATTESTO_VERIFIER_REFRESH_INTERVAL", "4s"),
        ("ATTESTO_VERIFIER_CACHE_INTERVAL", "1s"),
        ("ATTESTO_VERIFIER_SKEW_INTERVAL", "0s"),
        ("ATTESTO_KEY_CONFIRMATION_INTERVAL", "4s"),
        ("ATTESTO_KEY_STAGE_INTERVAL", "0s"),
    ];
    let authority = authority
        .into_iter()
        .fold(Authority::configured(CONFIGURATION), |authority, (name, text)| authority.with(name, text));
    for file in ["simplejwt.pem", "other.pem"] {
        fs::write(authority.data().join(file), rsa_pem()).unwrap();
    }
    authority.set_up();
    authority
}

/// The blocks that are to be run: those of `sh`, with the block of `output` that follows.
fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut rest = markdown.lines();
    while let Some(line) = rest.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let content: String =
            rest.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
        match language {
            "sh" => blocks.push(Block { commands: content, printed: None }),
            "output" => blocks.last_mut().expect("commands come first").printed = Some(content),
            "text" => {}
            other => panic!("a block of {other:?} is neither run nor compared"),
        }
    }
    blocks
}

/// All of it in one shell, as one operator would, with the output of each block in a file of its own.
fn script(blocks: &[Block], outputs: &Path) -> String {
    let numbered = blocks.iter().enumerate();
    let run = numbered.map(|(number, Block { commands, .. })| {
        format!("{{\n{commands}}} > {}/{number} 2>&1 < /dev/null\n", outputs.display())
    });
    format!("set -eu\n{}", run.collect::<Vec<_>>().concat())
}

/// Runs the script beside a server, which is started anew whenever the script asks for it.
fn supervise(authority: &Authority, script: &str, folder: &Path) -> ExitStatus {
    let mut server = Some(start(authority));
    let request = folder.join("restart");
    let mut shell = Shell::start(authority, script, &programs(folder, &request));
    let deadline = Instant::now() + LONGEST;
    loop {
        if let Some(status) = shell.0.try_wait().unwrap() {
            return status;
        }
        if request.exists() {
            server.take().into_iter().for_each(Server::stop);
            server = Some(start(authority));
            fs::remove_file(&request).unwrap();
        }
        assert!(Instant::now() < deadline, "the runbook takes too long");
        sleep(Duration::from_millis(20));
    }
}

/// A folder for the path: the program itself, and a service manager.
fn programs(folder: &Path, request: &Path) -> String {
    let programs = folder.join("programs");
    fs::create_dir(&programs).unwrap();
    symlink(env!("CARGO_BIN_EXE_attesto"), programs.join("attesto")).unwrap();
    let systemctl = programs.join("systemctl");
    let request = request.display();
    let text = format!(
        "#!/bin/sh\n[ \"$*\" = 'restart attesto' ]\n: > {request}\nwhile [ -e {request} ]; do sleep 0.05; done\n"
    );
    fs::write(&systemctl, text).unwrap();
    fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", programs.display(), std::env::var("PATH").unwrap())
}

/// A shell, and whatever it started.
struct Shell(Child);

impl Shell {
    fn start(authority: &Authority, script: &str, path: &str) -> Self {
        let mut command = Command::new("sh");
        authority.environment(&mut command);
        command.args(["-c", script]).current_dir(authority.data()).env("PATH", path);
        command.process_group(0).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// Whether the lines are those that were expected. A line of `…` alone stands for any number of lines, and `…` within
/// one for anything.
fn is_like(lines: &[&str], expected: &[&str]) -> bool {
    match expected {
        [] => lines.is_empty(),
        ["…", rest @ ..] => (0..=lines.len()).any(|skipped| is_like(&lines[skipped..], rest)),
        [first, rest @ ..] => {
            lines.first().is_some_and(|line| fits(line, first)) && is_like(&lines[1..], rest)
        }
    }
}

fn fits(line: &str, pattern: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('…') else { return line == pattern };
    let Some(line) = line.strip_prefix(begin) else { return false };
    let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    ends.into_iter().any(|at| fits(&line[at..], rest))
}

#[test]
fn what_is_printed_is_compared() {
    let table = [
        ("a\nb", "a\nb", true),
        ("a\nb", "a", false),
        ("a", "a\nb", false),
        ("a\nb\nc", "a\n…", true),
        ("a", "a\n…", true),
        ("a\nb\nc", "…\nc", true),
        ("a\nb\nc", "…\nb", false),
        ("key abc is staged.", "key … is staged.", true),
        ("key abc is active.", "key … is staged.", false),
        ("key abc is staged. More", "key … is staged.…", true),
        ("x key abc", "key …", false),
        ("", "…", true),
    ];
    for (printed, expected, like) in table {
        assert_eq!(is_like(&lines(printed), &lines(expected)), like, "{printed:?} {expected:?}");
    }
}
