//! Other processes on the same database: the test binary runs itself again, once for each worker, and only
//! [`worker`] of it. Workers say what happened in lines on their standard output.

use std::io::{BufRead, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use attesto_store::{DatabaseUrl, Store};

use crate::sqlite::opening;
use crate::{feed, key_change, key_use, session, throttle};

/// Names role, number and database. A worker without it has nothing to do.
const WORKER: &str = "ATTESTO_STORE_WORKER";

/// How many processes work together.
pub(crate) const PROCESSES: usize = 8;

/// Precedes what a worker says: the test harness speaks on the same stream.
const SAYS: char = '@';

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Rotates one session through its generations.
    Rotate,
    /// Rotates and ends sessions.
    End,
    /// Uses a token that stays, and rotates.
    Keep,
    /// Guesses the password of one user.
    GuessOneUser,
    /// Guesses passwords of many names from one address.
    GuessFromOneAddress,
    /// Appends to the feed.
    Append,
    /// Changes keys.
    ChangeKeys,
    /// Notes the use of a key.
    UseKey,
    /// Takes the server's lock and holds it.
    Lock,
    /// Opens the database.
    Open,
}

const ROLES: [Role; 10] = [
    Role::Rotate,
    Role::End,
    Role::Keep,
    Role::GuessOneUser,
    Role::GuessFromOneAddress,
    Role::Append,
    Role::ChangeKeys,
    Role::UseKey,
    Role::Lock,
    Role::Open,
];

/// Opens the store, waits for all others to have done so, and works.
async fn together<F: Future<Output = ()>>(
    url: &DatabaseUrl,
    number: usize,
    work: impl FnOnce(Store, usize) -> F,
) {
    let store = Store::open(url).unwrap();
    wait_to_go_on();
    work(store, number).await;
}

/// Says that this worker is ready, and waits to be released.
pub(crate) fn wait_to_go_on() {
    say("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Tells the test something.
pub(crate) fn say(text: &str) {
    println!("\n{SAYS}{text}");
}

#[test]
fn worker() {
    let Ok(orders) = std::env::var(WORKER) else { return };
    let mut orders = orders.splitn(3, ' ');
    let mut next = || orders.next().unwrap();
    let role = next();
    let role = ROLES.into_iter().find(|known| format!("{known:?}") == role).unwrap();
    let number = next().parse().unwrap();
    let url = DatabaseUrl::parse(next(), Path::new("/")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work(role, number, &url));
}

async fn work(role: Role, number: usize, url: &DatabaseUrl) {
    match role {
        Role::Rotate => together(url, number, session::rotates).await,
        Role::End => together(url, number, session::ends).await,
        Role::Keep => together(url, number, session::keeps).await,
        Role::GuessOneUser => together(url, number, throttle::guesses_one_user).await,
        Role::GuessFromOneAddress => together(url, number, throttle::guesses_from_one_address).await,
        Role::Append => together(url, number, feed::appends).await,
        Role::ChangeKeys => together(url, number, key_change::changes).await,
        Role::UseKey => together(url, number, key_use::uses).await,
        Role::Lock => opening::locks(url),
        Role::Open => opening::opens(url),
    }
}

/// Lets [`PROCESSES`] workers begin at once; what all of them said.
pub(crate) fn run_together(role: Role, url: &DatabaseUrl) -> Vec<String> {
    run_many(PROCESSES, role, url)
}

/// Lets `count` workers begin at once; what all of them said.
pub(crate) fn run_many(count: usize, role: Role, url: &DatabaseUrl) -> Vec<String> {
    let mut workers: Vec<_> = (0..count).map(|number| Worker::start(role, number, url)).collect();
    workers.iter_mut().for_each(Worker::until_ready);
    workers.iter_mut().for_each(Worker::release);
    workers.iter_mut().flat_map(Worker::finish).collect()
}

/// Runs `task` for each number at the same time; what came of each.
pub(crate) async fn at_once<F>(count: usize, task: impl Fn(usize) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let running: Vec<_> = (0..count).map(|number| tokio::spawn(task(number))).collect();
    let mut done = Vec::with_capacity(count);
    for task in running {
        done.push(task.await.unwrap());
    }
    done
}

/// The binary that runs. Linux has a path for it that holds even if a later build replaced the file, and for a user
/// who could not reach it otherwise.
pub(crate) fn this_binary() -> Command {
    let path = Path::new("/proc/self/exe");
    if path.exists() { Command::new(path) } else { Command::new(std::env::current_exe().unwrap()) }
}

/// A process that runs [`worker`]. It ends with this value.
pub(crate) struct Worker {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub(crate) fn start(role: Role, number: usize, url: &DatabaseUrl) -> Self {
        Self::spawn(&mut this_binary(), role, number, url)
    }

    /// Starts `binary` as a worker, in whatever manner it is prepared.
    pub(crate) fn spawn(binary: &mut Command, role: Role, number: usize, url: &DatabaseUrl) -> Self {
        let mut process = binary
            .args(["--exact", "processes::worker", "--nocapture"])
            .env(WORKER, format!("{role:?} {number} {url}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, said }
    }

    pub(crate) fn until_ready(&mut self) {
        assert_eq!(self.next().as_deref(), Some("ready"));
    }

    pub(crate) fn release(&mut self) {
        self.process.stdin.take().unwrap().write_all(b"\n").unwrap();
    }

    /// All that it says until it ends, which has to be in good order.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let said = std::iter::from_fn(|| self.next()).collect();
        assert!(self.process.wait().unwrap().success(), "a worker failed");
        said
    }

    fn next(&mut self) -> Option<String> {
        self.said.by_ref().map(Result::unwrap).find_map(|line| line.strip_prefix(SAYS).map(str::to_owned))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
