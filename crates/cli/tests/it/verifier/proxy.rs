//! Somebody between a verifier and the feed, who cannot sign answers and does everything else to them.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

use crate::http::{Answer, Connection, get};
use crate::random::Random;

pub(super) const FAULTS: [Fault; 5] =
    [Fault::Cut, Fault::Delay, Fault::Replay, Fault::Reorder, Fault::RollBack];

/// Whoever is refused answers asks ever more rarely, and has to come back in the time of a test.
const MOST_IN_A_ROW: u32 = 3;

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends in the middle.
    Cut,
    /// It comes later.
    Delay,
    /// Any of the answers so far comes instead.
    Replay,
    /// It comes the next time that this happens, and the one of the last time comes now.
    Reorder,
    /// The first answer of all comes instead.
    RollBack,
}

/// How a proxy behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    PassesOn,
    Mangles,
    /// Nothing goes through.
    CutsOff,
}

/// A proxy, of one verifier.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    manner: Manner,
    /// What it has done, in this order.
    done: Vec<Fault>,
}

/// What the thread of a proxy has.
struct Between {
    server: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    random: Random,
    /// The answers of the feed so far.
    past: Vec<String>,
    held_back: Option<String>,
    in_a_row: u32,
}

impl Proxy {
    /// Passes everything on at first.
    pub(super) fn start(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared { manner: Manner::PassesOn, done: Vec::new() }));
        let mut between = Between {
            server,
            shared: Arc::clone(&shared),
            random: Random(seed),
            past: Vec::new(),
            held_back: None,
            in_a_row: 0,
        };
        spawn(move || {
            for connection in listener.incoming() {
                // A verifier or a server that hangs up is none of its business.
                let _ = connection.and_then(|connection| between.serve(connection));
            }
        });
        Self { address, shared }
    }

    pub(super) fn behaves(&self, manner: Manner) {
        self.shared.lock().unwrap().manner = manner;
    }

    /// How often it has done this.
    pub(super) fn times(&self, fault: Fault) -> usize {
        self.shared.lock().unwrap().done.iter().filter(|done| **done == fault).count()
    }
}

impl Between {
    /// One request and its answer.
    fn serve(&mut self, connection: TcpStream) -> io::Result<()> {
        let mut connection = BufReader::new(connection);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if connection.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        if self.manner() == Manner::CutsOff {
            return Ok(());
        }
        let target = head.split(' ').nth(1).expect("a target");
        // So that requests are frequent.
        let target = target.replace("wait=25", "wait=1");
        let answer = Connection::open(self.server)?.ask(&get(&target))?;
        let answer = if target.contains("/keys") { message(&answer) } else { self.mangled(&answer) };
        connection.get_mut().write_all(answer.as_bytes())
    }

    fn mangled(&mut self, answer: &Answer) -> String {
        let answer = message(answer);
        self.past.push(answer.clone());
        let Some(fault) = self.fault() else { return answer };
        self.shared.lock().unwrap().done.push(fault);
        match fault {
            Fault::Cut => answer[..answer.len() - 9].to_owned(),
            Fault::Delay => {
                sleep(Duration::from_millis(u64::from(self.random.below(1_000))));
                answer
            }
            Fault::Replay => {
                let any = self.random.below(u32::try_from(self.past.len()).expect("few")) as usize;
                self.past[any].clone()
            }
            Fault::Reorder => self.held_back.replace(answer).unwrap_or_default(),
            Fault::RollBack => self.past[0].clone(),
        }
    }

    fn fault(&mut self) -> Option<Fault> {
        let mangles =
            self.manner() == Manner::Mangles && self.in_a_row < MOST_IN_A_ROW && self.random.below(3) > 0;
        self.in_a_row = if mangles { self.in_a_row + 1 } else { 0 };
        mangles.then(|| FAULTS[self.random.below(5) as usize])
    }

    fn manner(&self) -> Manner {
        self.shared.lock().unwrap().manner
    }
}

fn message(answer: &Answer) -> String {
    let Answer { status, body, .. } = answer;
    format!("HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}
