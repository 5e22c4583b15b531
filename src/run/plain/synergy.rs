//! `isobole synergy`: dose matrices of a plain table, with margins of its own or from another table.

use super::single_agents::{SingleAgents, Singles};
use super::{PlainOutcome, keyed, only_input, rejected_table, settings_value, triples};
use crate::analysis::fit_settings;
use crate::backend::Backend;
use crate::backend::choose::choose;
use crate::config::Settings;
use crate::ingest::{LongMapping, LongTable, read_long};
use crate::report::files;
use crate::report::run_json::RunIdentity;
use crate::screen::Screen;
use crate::screen::dose::DOSE_TOLERANCE;
use crate::screen::dose_matrix::{DoseMatrix, MatrixKey, Observation, matrix_from_cells};
use crate::synergy::bootstrap::{Resampling, add_intervals};
use crate::synergy::draws::{ResamplingKind, ascending};
use crate::synergy::score::score_matrices;
use crate::synergy::summary::add_box_scores;
use crate::synergy::table::{OPTIONAL, SynergyTable, tables};
use crate::{Error, Result};
use rayon::prelude::*;

/// What tells which drug a matrix's doses are of.
const OWN_COLUMNS: [&str; 5] = ["block", "cell_line", "drug_a", "drug_b", "schedule"];

/// Rows by group, each group's rows sorted by dose and value: sums then do not depend on the order of the file.
pub(super) fn by_group(table: &LongTable) -> Vec<Vec<usize>> {
    let mut groups = vec![Vec::new(); table.groups.len()];
    for (i, row) in table.rows.iter().enumerate() {
        if let Some(group) = groups.get_mut(row.group as usize) {
            group.push(i);
        }
    }
    groups.par_iter_mut().for_each(|rows| {
        rows.sort_by(|&a, &b| {
            let key = |i: usize| {
                let row = &table.rows[i];
                [row.doses[0], row.doses[1], row.doses[2], row.response]
            };
            let pairs = key(a).into_iter().zip(key(b));
            pairs.map(|(x, y)| x.total_cmp(&y)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
    });
    groups
}

/// Scores the matrices of a plain table into the folder `settings.out`, `drugs` being the key columns that name the drugs
/// where there are such: `synergy`, `surfaces`, what the settings ask for
/// beside them, and `rejected`; of three drugs `triples` and `triple_surfaces` instead.
///
/// # Errors
/// Those of reading, of the back end, and of writing.
pub fn synergy(
    settings: &Settings,
    mapping: &LongMapping,
    drugs: &[String],
    singles: Option<&SingleAgents>,
) -> Result<PlainOutcome> {
    files::prepare(&settings.out)?;
    let chosen = choose(settings.backend)?;
    let backend = chosen.backend.as_ref();
    let table = read_long(only_input(settings)?, mapping)?;
    let said = singles;
    let singles = singles.map(|singles| Singles::read(singles, mapping)).transpose()?;
    // Of an earlier run that was asked for more. What cannot be removed cannot be replaced either: writing will say so.
    let always = ["synergy", "surfaces", "rejected_single_agents"];
    for name in OPTIONAL
        .iter()
        .chain(&triples::TABLES)
        .chain(&always)
        .flat_map(|t| [format!("{t}.parquet"), format!("{t}.csv")])
    {
        let _ = std::fs::remove_file(settings.out.join(name));
    }
    let mut outcome = PlainOutcome {
        rows_in: table.rows_in,
        rows_used: table.rows.len(),
        backend: format!("{} ({}; {})", backend.name(), backend.device(), chosen.reason),
        ..PlainOutcome::default()
    };
    if let Some(singles) = &singles {
        outcome.notes.push(singles.note(&table.groups, mapping.doses.len()));
    }
    let identity = identity_of(settings, mapping, said)?;
    let work = Work { settings, mapping, table: &table, singles: singles.as_ref(), identity: &identity, backend };
    if mapping.doses.len() == 3 {
        triples::score(&work, &mut outcome)?;
    } else {
        pairs(&work, drugs, &mut outcome)?;
    }
    outcome.files.push(files::write(&rejected_table(&table.rejected), &settings.out, &identity, settings.csv)?);
    outcome.count_rejected(&table.rejected);
    if let Some(singles) = &singles {
        let rejected =
            crate::report::table::Table { name: "rejected_single_agents".into(), ..rejected_table(&singles.rejected) };
        outcome.files.push(files::write(&rejected, &settings.out, &identity, settings.csv)?);
    }
    Ok(outcome)
}

/// What a table's scoring is given.
pub(super) struct Work<'a> {
    pub settings: &'a Settings,
    pub mapping: &'a LongMapping,
    pub table: &'a LongTable,
    pub singles: Option<&'a Singles>,
    pub identity: &'a RunIdentity,
    pub backend: &'a dyn Backend,
}

/// The identity of results: what columns mean changes them as settings do.
fn identity_of(settings: &Settings, mapping: &LongMapping, singles: Option<&SingleAgents>) -> Result<RunIdentity> {
    let settings = settings_value(settings)?;
    let singles = singles.map(|singles| format!("{:?} {:?} {:?}", singles.mapping, singles.drugs, singles.by));
    Ok(RunIdentity::new(&serde_json::json!({
        "settings": settings,
        "mapping": format!("{mapping:?}"),
        "single_agents": singles,
    })))
}

/// The names of a matrix's two drugs, as far as its key has them.
fn drug_names<'a>(group: &'a [String], columns: &[Option<usize>; 2]) -> [&'a str; 2] {
    let name = |k: usize, unnamed: &'static str| {
        columns[k].and_then(|column| group.get(column)).map_or(unnamed, String::as_str)
    };
    [name(0, "drug_a"), name(1, "drug_b")]
}

fn pairs(work: &Work<'_>, drugs: &[String], outcome: &mut PlainOutcome) -> Result<()> {
    let &Work { settings, mapping, table, singles, identity, backend } = work;
    let columns = [0, 1].map(|k| drugs.get(k).and_then(|drug| mapping.group.iter().position(|column| column == drug)));
    // Each matrix is a block of its own: margins are those of its own rows, or its drugs' own.
    let mut screen = Screen::default();
    let names: Vec<&Vec<String>> = table.groups.iter().collect();
    let mut matrices: Vec<DoseMatrix> = Vec::with_capacity(names.len());
    let mut wells = Vec::new();
    for (group, rows) in table.groups.iter().zip(by_group(table)) {
        let block = Some(screen.blocks.intern(&group.join("/")));
        let [drug_a, drug_b] = drug_names(group, &columns).map(|name| screen.drugs.intern(name));
        let key = MatrixKey { block, line: 0, drug_a, drug_b, schedule: None };
        let elsewhere = [0, 1].map(|k| singles.map_or(&[][..], |singles| singles.of(group, k)));
        let observation = |&i: &usize| {
            let row = &table.rows[i];
            Observation { dose_a: row.doses[0], dose_b: row.doses[1], response: row.response, weight: 1.0 }
        };
        let observations: Vec<Observation> = rows.iter().map(observation).collect();
        let mut matrix = matrix_from_cells(key, &observations)?;
        if settings.resampling == ResamplingKind::Replicates {
            wells.push(ascending(observations));
        }
        for (k, elsewhere) in elsewhere.into_iter().enumerate() {
            let own = rows.iter().map(|&i| table.rows[i].doses[k]);
            matrix.take_margin(k == 1, at_doses_of(own, elsewhere));
        }
        matrices.push(matrix);
    }
    if let Some(unknown) = settings.dose_limits.keys().find(|drug| screen.drugs.id_ignoring_case(drug).is_none()) {
        return Err(Error::Setting {
            key: "dose-limits".into(),
            problem: format!("`{unknown}` is none of the drugs of this table"),
            hint: Some(
                "--drugs names the columns of drugs, which must be among --matrix; else they are drug_a and drug_b"
                    .into(),
            ),
        });
    }
    let fit = fit_settings(settings);
    let mut scores = score_matrices(&matrices, &settings.synergy, settings.margins, &fit, backend)?;
    if !settings.dose_limits.is_empty() {
        add_box_scores(&mut scores, |drug| settings.dose_limit(screen.drugs.name(drug)));
    }
    let resampling = Resampling {
        draws: settings.bootstrap,
        seed: settings.seed,
        kind: settings.resampling,
        normalisation_errors: &[],
        only: &[],
        wells: &wells,
    };
    add_intervals(&mut scores, &matrices, &screen, &settings.synergy, settings.margins, &fit, resampling, backend)?;
    outcome.units = matrices.len();
    outcome.failed = scores.iter().filter(|m| m.scores.iter().any(|s| s.score.is_none())).count();
    for SynergyTable { table, rows } in tables(&scores, &matrices, settings, &screen) {
        let groups = names.iter().zip(&rows).flat_map(|(name, rows)| std::iter::repeat_n(*name, *rows));
        let groups: Vec<&Vec<String>> = groups.collect();
        let mut result = keyed(&table.name, &mapping.group, &groups);
        // There are no plates whose quality could be known.
        let of_plates = |name: &str| name == "qc_burden" || name.ends_with("_unflagged");
        let is_kept = |name: &str| !OWN_COLUMNS.contains(&name) && !of_plates(name);
        let kept = table.columns.into_iter().filter(|column| is_kept(&column.name));
        result.columns.extend(kept);
        outcome.files.push(files::write(&result, &settings.out, identity, settings.csv)?);
    }
    Ok(())
}

/// Single-agent responses at the doses of a matrix where these are meant: dispensers differ by a few per cent.
pub(super) fn at_doses_of(own: impl Iterator<Item = f64>, alone: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if alone.is_empty() {
        return Vec::new();
    }
    let mut own: Vec<f64> = own.filter(|dose| *dose > 0.0).collect();
    own.sort_by(f64::total_cmp);
    own.dedup();
    let nearest = |dose: f64| {
        let after = own.partition_point(|other| *other < dose);
        let near = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|i| own.get(i).copied());
        let ratio = |other: f64| other.max(dose) / other.min(dose);
        near.min_by(|a, b| ratio(*a).total_cmp(&ratio(*b))).filter(|other| ratio(*other) <= 1.0 + DOSE_TOLERANCE)
    };
    let moved =
        |&(dose, response): &(f64, f64)| (if dose > 0.0 { nearest(dose).unwrap_or(dose) } else { dose }, response);
    alone.iter().map(moved).collect()
}

/// The position of each of `columns` among the key columns of a table.
pub(super) fn positions(columns: &[String], among: &[String], flag: &str) -> Result<Vec<usize>> {
    let position = |column: &String| {
        among.iter().position(|other| other == column).ok_or_else(|| Error::Setting {
            key: flag.into(),
            problem: format!("`{column}` is not among the columns that name a matrix, `{}`", among.join("`, `")),
            hint: Some(format!("add it: --matrix {}", [among, std::slice::from_ref(column)].concat().join(","))),
        })
    };
    columns.iter().map(position).collect()
}
