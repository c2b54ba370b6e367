//! The figures to reach.

use super::contender::{What, Who};
use super::figures::{Figures, Row, ratio, typical};
use super::overload;
use super::scene::Running;
use super::{MOST, report};
use crate::goal::{Bound, Goal};
use crate::stats::Sample;

use Bound::{AtLeast, AtMost};
use What::{Jwks, JwksUnchanged, Pair, Refresh, Verify};
use Who::{Attesto, AttestoEs256, AttestoOnAllCores, AttestoSignIns, OidcProvider, Program, SimpleJwt};

/// All that could be looked at: of the peers only those that were there. A database that is a server takes processor time of its own.
pub fn goals(figures: &Figures, servers: &[Running], is_on_a_file: bool) -> Vec<Goal> {
    let mut goals = Vec::new();
    let of_program = AtLeast(if is_on_a_file { 0.9 } else { 0.75 });
    for connections in [16, MOST] {
        let against = |ours, theirs, bound| against(figures, connections, ours, theirs, bound);
        goals.extend(against((Attesto, Refresh), (Program, Refresh), of_program));
        goals.extend(es256_of_limit(figures, connections));
        goals.extend(per_core(figures, connections));
        goals.extend(against((Attesto, Jwks), (Program, Jwks), AtLeast(0.7)));
        goals.extend(against((Attesto, JwksUnchanged), (Program, JwksUnchanged), AtLeast(0.7)));
        goals.extend(against((Attesto, Refresh), (SimpleJwt, Refresh), AtLeast(9.0)));
        goals.extend(against((AttestoSignIns, Pair), (SimpleJwt, Pair), AtLeast(4.5)));
        goals.extend(against((Attesto, Verify), (SimpleJwt, Verify), AtLeast(8.0)));
        goals.extend(against((Attesto, Refresh), (OidcProvider, Refresh), AtLeast(1.0)));
        goals.extend(against((AttestoEs256, Refresh), (OidcProvider, Refresh), AtLeast(1.4)));
        goals.extend(against((Attesto, Jwks), (OidcProvider, Jwks), AtLeast(5.0)));
    }
    goals.extend(paced(figures));
    goals.extend(figures.overload.iter().flat_map(overloaded));
    if let Some(attesto) = servers.iter().find(|running| running.who == Attesto) {
        let started = Sample::new(attesto.starts_ms.clone()).quantile(0.5);
        goals.push(Goal::new("start to the first 200", started, "ms", AtMost(50.0)));
        let idle = attesto.idle_mib;
        goals.extend(idle.map(|mib| Goal::new("memory (PSS), idle", mib, "MiB", AtMost(15.0))));
    }
    let loaded = report::loaded_mib(figures, Attesto);
    goals.extend(
        loaded.map(|mib| {
            Goal::new(format!("memory (PSS), {MOST} connections refresh"), mib, "MiB", AtMost(40.0))
        }),
    );
    goals
}

fn against(
    figures: &Figures,
    connections: usize,
    ours: (Who, What),
    theirs: (Who, What),
    bound: Bound,
) -> Option<Goal> {
    let (ours, theirs) =
        (figures.row(ours.0, ours.1, connections)?, figures.row(theirs.0, theirs.1, connections)?);
    let name = format!("{} of {}", named(ours), theirs.who.name());
    let goal = Goal::new(name, ratio(&ours.per_second, &theirs.per_second), "×", bound);
    Some(goal.by_processor_time(theirs.processor_ms() / ours.processor_ms()))
}

fn es256_of_limit(figures: &Figures, connections: usize) -> Option<Goal> {
    let row = figures.row(AttestoEs256, Refresh, connections)?;
    let goal = Goal::new(
        format!("{} of bare signatures", named(row)),
        ratio(&row.per_second, &figures.signatures()),
        "×",
        AtLeast(0.6),
    );
    Some(goal.by_processor_time(figures.signature_ms() / row.processor_ms()))
}

/// How much of a core's work is left when there are more of them.
fn per_core(figures: &Figures, connections: usize) -> Option<Goal> {
    let (many, one) =
        (figures.row(AttestoOnAllCores, Refresh, connections)?, figures.row(Attesto, Refresh, connections)?);
    let ratio = one.processor_ms() / many.processor_ms();
    let name = format!("{} of one core, per processor time", named(many));
    Some(Goal::new(name, ratio, "×", AtLeast(0.9)))
}

fn paced(figures: &Figures) -> Option<Goal> {
    let p99 = typical(figures.paced_ms.get(&Attesto)?, 0.99);
    let two_signatures_ms = 2.0 * figures.signature_ms();
    let name = "refresh at 60 % load: p99 of two bare signatures";
    Some(Goal::new(name, p99 / two_signatures_ms, "×", AtMost(10.0)))
}

/// What is answered although more ask than are let in, and how soon the others know.
fn overloaded(row: &overload::Row) -> Vec<Goal> {
    let name = |what: &str| format!("{}, {} connections: {what}", row.manners.name(), row.connections);
    let mut goals = vec![Goal::new(name("200s, of the peak"), row.goodput(), "×", AtLeast(0.9))];
    if !row.refused_ms.is_empty() {
        let p99 = Sample::new(row.refused_ms.clone()).quantile(0.99);
        goals.push(Goal::new(name("p99 of a 503"), p99, "ms", AtMost(50.0)));
    }
    goals
}

fn named(row: &Row) -> String {
    format!("{}, {}, {} connections", row.who.name(), row.what.name(), row.connections)
}
