//! The wells of the next experiment: 384-well plates with the drugs at random places, as a table that a dispenser takes and
//! that `isobole run` takes back once a `signal` has been added.

use super::confirmation::Confirmation;
use crate::math::random::uniform;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::names::NameId;
use crate::screen::well::WellPosition;

/// The table's name.
pub const NAME: &str = "next_experiment";
/// Wells that are used: the outer two rings evaporate.
const ROWS: std::ops::RangeInclusive<u16> = 3..=14;
const COLUMNS: std::ops::RangeInclusive<u16> = 3..=22;
/// Wells of a plate that hold vehicle: their mean is what every other well is divided by.
const VEHICLES: usize = 24;

/// One well.
#[derive(Debug, Clone, PartialEq)]
struct Pick {
    plate: usize,
    line: NameId,
    position: WellPosition,
    sample: Option<Sample>,
}

/// What a well gets; molar doses.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    drugs: [NameId; 2],
    schedule: Option<NameId>,
    doses: [f64; 2],
    replicate: u32,
}

/// The `next_experiment` table: one row a well, in the columns of `run`. Every plate has one line; a replicate of a
/// matrix stays on one plate with its single doses, so that what they are compared with had the same day.
pub fn table(confirmations: &[Confirmation], screen: &Screen, seed: u64) -> Table {
    let picks = picks(confirmations, seed);
    let all = || picks.iter();
    let sample = |of: &dyn Fn(&Sample) -> Option<f64>| all().map(|p| of(p.sample.as_ref()?)).collect::<Vec<_>>();
    let drug = |k: usize| {
        let name = |p: &Pick| {
            let sample = p.sample.as_ref().filter(|sample| sample.doses[k] > 0.0)?;
            Some(screen.drugs.name(sample.drugs[k]).to_owned())
        };
        all().map(name).collect::<Vec<_>>()
    };
    let micromolar = |k: usize| sample(&|s| Some(s.doses[k] * 1e6).filter(|dose| *dose > 0.0));
    Table::new(NAME)
        .text("plate_id", all().map(|p| Some(format!("confirmation-{:02}", p.plate + 1))))
        .text("well", all().map(|p| Some(p.position.to_string())))
        .text("cell_line", all().map(|p| Some(screen.lines.name(p.line))))
        .text("role", all().map(|p| Some(if p.sample.is_some() { "sample" } else { "vehicle" })))
        .text("drug_a", drug(0))
        .number("conc_a", micromolar(0))
        .text("drug_b", drug(1))
        .number("conc_b", micromolar(1))
        .text("conc_unit", all().map(|_| Some("uM")))
        .integer("replicate", all().map(|p| p.sample.as_ref().map(|s| i64::from(s.replicate))))
        .text(
            "schedule",
            all().map(|p| p.sample.as_ref().and_then(|s| s.schedule).map(|id| screen.schedules.name(id).to_owned())),
        )
}

fn picks(confirmations: &[Confirmation], seed: u64) -> Vec<Pick> {
    let wells: Vec<WellPosition> =
        ROWS.flat_map(|row| COLUMNS.filter_map(move |column| WellPosition::new(row, column))).collect();
    let room = wells.len() - VEHICLES;
    let mut lines: Vec<NameId> = Vec::new();
    for confirmation in confirmations {
        if !lines.contains(&confirmation.line) {
            lines.push(confirmation.line);
        }
    }
    let mut picks = Vec::new();
    let mut plate = 0;
    for line in lines {
        // Replicate by replicate, so that one bad plate takes one replicate of each pair.
        let of_line: Vec<&Confirmation> = confirmations.iter().filter(|c| c.line == line).collect();
        let most = of_line.iter().map(|c| c.n_replicates).max().unwrap_or(0);
        let mut waiting: Vec<Vec<Sample>> = Vec::new();
        for replicate in 1..=most {
            waiting.extend(of_line.iter().filter(|c| replicate <= c.n_replicates).map(|c| matrix(c, replicate)));
        }
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            let mut samples: Vec<Sample> = Vec::new();
            while let Some(next) = waiting.next_if(|next| samples.is_empty() || samples.len() + next.len() <= room) {
                samples.extend(next);
            }
            samples.truncate(room);
            let mut places: Vec<(f64, WellPosition)> =
                wells.iter().enumerate().map(|(i, well)| (uniform(seed, plate as u64, i as u32, 0), *well)).collect();
            places.sort_by(|x, y| x.0.total_cmp(&y.0));
            let kinds = (0..VEHICLES).map(|_| None).chain(samples.into_iter().map(Some));
            let mut on_plate: Vec<Pick> = places
                .into_iter()
                .zip(kinds)
                .map(|((_, position), sample)| Pick { plate, line, position, sample })
                .collect();
            on_plate.sort_by_key(|pick| (pick.position.row, pick.position.column));
            picks.extend(on_plate);
            plate += 1;
        }
    }
    picks
}

/// Every dose pair, single doses included; the untreated are the plate's vehicles.
fn matrix(confirmation: &Confirmation, replicate: u32) -> Vec<Sample> {
    let with_none = |k: usize| std::iter::once(0.0).chain(confirmation.doses[k].iter().copied());
    with_none(0)
        .flat_map(|a| with_none(1).map(move |b| [a, b]))
        .filter(|doses| doses.iter().any(|dose| *dose > 0.0))
        .map(|doses| Sample { drugs: confirmation.drugs, schedule: confirmation.schedule, doses, replicate })
        .collect()
}
