//! What the server answers in a second, against what its signatures alone would allow, and against others that do the
//! same.
//!
//! Every server runs on one core and the load on another one; everything is measured in turn, round by round.

mod asker;
pub mod bare;
pub mod chart;
pub mod contender;
mod figures;
mod goals;
mod limits;
mod load;
mod overload;
pub mod peers;
mod report;
mod scene;
pub mod simplejwt;

use std::path::PathBuf;
use std::time::Duration;

use crate::cores::Cores;
use crate::serving::asker::Asker;
use crate::serving::contender::{Contender, What, Who};
use crate::serving::figures::Figures;
use crate::serving::limits::Limits;
use crate::serving::peers::Places;
pub use crate::serving::report::Report;
use crate::serving::scene::{Running, Scene, Turn};
use crate::stats::Sample;
use crate::{Outcome, progress};

/// How many connections there are at most.
const MOST: usize = 64;

/// How many at the same time, one number after the other.
const EVERYWHERE: [usize; 3] = [1, 16, MOST];

/// How much of what the server takes at most is asked of it, to see how long an answer takes when it is not overrun.
const MODERATE: f64 = 0.6;

/// What to measure, and for how long.
pub struct Plan {
    program: PathBuf,
    database: String,
    peers: Option<Places>,
    rounds: usize,
    slice: Duration,
    paced_slice: Duration,
    overload_rounds: usize,
    overload_slice: Duration,
    starts: usize,
    only: Option<What>,
}

impl Plan {
    /// A run of the server `program`, each authority on a database whose name has its own in the place of `{}`.
    pub fn new(
        program: PathBuf,
        database: String,
        peers: Option<Places>,
        only: Option<What>,
        quick: bool,
    ) -> Self {
        let (rounds, slice, paced_slice, starts) =
            if quick { (2, 100, 300, 2) } else { (12, 500, 2_000, 10) };
        let (overload_rounds, overload_slice) = if quick { (1, 1_000) } else { (5, 4_000) };
        Self {
            program,
            database,
            peers,
            rounds,
            slice: Duration::from_millis(slice),
            paced_slice: Duration::from_millis(paced_slice),
            overload_rounds,
            overload_slice: Duration::from_millis(overload_slice),
            starts,
            only,
        }
    }

    fn is_on_a_file(&self) -> bool {
        self.database.starts_with("sqlite:")
    }
}

/// Runs all servers, and asks them in turn.
pub fn measure(plan: &Plan) -> Outcome<Report> {
    let all = Cores::allowed()?;
    let (load, others) = all.split_last();
    let (server, _) = others.split_last();
    let layout = Layout { server, load, all };
    layout.load.run(|| {
        attesto_server::block_on(async {
            let mut scene = Scene::set(plan, &layout.server, &layout.all).await?;
            let mut figures = Figures::default();
            rounds(plan, &layout, &mut scene, &mut figures).await?;
            paced(plan, &mut scene, &mut figures).await?;
            if plan.only.is_none() {
                figures.overload = overload::measure(plan, &layout.server).await?;
            }
            Ok(Report::new(plan, &scene.servers, &figures))
        })
    })
}

/// Who runs where.
struct Layout {
    server: Cores,
    load: Cores,
    all: Cores,
}

async fn rounds(plan: &Plan, layout: &Layout, scene: &mut Scene, figures: &mut Figures) -> Outcome<()> {
    let limits = Limits::new()?;
    let mut turns = scene.turns(plan.only);
    for round in 0..plan.rounds {
        progress(&format!("serving: round {round} of {}", plan.rounds));
        figures.limits.push(layout.server.run(|| limits.rates())?);
        for turn in &turns {
            one_turn(plan, layout, scene, figures, *turn).await?;
        }
        // There and back, so that nobody always comes after the same neighbour.
        turns.reverse();
    }
    Ok(())
}

/// One slice of one contender.
async fn one_turn(
    plan: &Plan,
    layout: &Layout,
    scene: &mut Scene,
    figures: &mut Figures,
    Turn { contender, connections }: Turn,
) -> Outcome<()> {
    let Contender { what, server, askers, .. } = &mut scene.contenders[contender];
    let Running { who, server, .. } = &scene.servers[*server];
    let askers = &mut askers[..connections];
    if *who == Who::AttestoOnAllCores {
        layout.all.pin()?;
    }
    let spent_before = server.processor_time()?;
    let slice = load::without_pause(askers, plan.slice).await?;
    let spent = server.processor_time()?.saturating_sub(spent_before);
    layout.load.pin()?;
    figures.add(*who, *what, connections, slice, spent);
    if connections == MOST && matches!(what, What::Refresh | What::Pair) {
        figures.loaded_mib.entry(*who).or_default().extend(server.proportional_memory());
    }
    askers.iter_mut().for_each(Asker::disconnect);
    Ok(())
}

/// The program and the server, each at a part of what it takes at most.
async fn paced(plan: &Plan, scene: &mut Scene, figures: &mut Figures) -> Outcome<()> {
    for round in 0..plan.rounds {
        progress(&format!("serving: at a moderate pace, round {round} of {}", plan.rounds));
        for who in [Who::Program, Who::Attesto] {
            let Some(row) = figures.row(who, What::Refresh, MOST) else { return Ok(()) };
            let at_most = row.per_second().median;
            let askers = scene.askers(who, What::Refresh).ok_or("nobody refreshes")?;
            let took_ms = load::at_pace(askers, at_most * MODERATE, plan.paced_slice).await?;
            askers.iter_mut().for_each(Asker::disconnect);
            figures.paced_ms.entry(who).or_default().push(Sample::new(took_ms));
        }
    }
    Ok(())
}
