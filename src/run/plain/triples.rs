//! Matrices of three drugs in a plain table.

use super::single_agents::Singles;
use super::synergy::{at_doses_of, by_group};
use super::{PlainOutcome, identity, keyed};
use crate::Result;
use crate::analysis::fit_settings;
use crate::backend::Backend;
use crate::config::Settings;
use crate::ingest::{LongMapping, LongTable};
use crate::report::files;
use crate::screen::triple_matrix::{TripleMatrix, TripleObservation};
use crate::synergy::noise::hash_of_names;
use crate::synergy::three::bootstrap::add_triple_intervals;
use crate::synergy::three::score::score_triples;
use crate::synergy::three::table::{triple_surfaces_table, triples_table};

/// The tables.
pub(super) const TABLES: [&str; 2] = ["triples", "triple_surfaces"];

/// Scores them.
pub(super) fn score(
    settings: &Settings,
    mapping: &LongMapping,
    table: &LongTable,
    singles: Option<&Singles>,
    backend: &dyn Backend,
    outcome: &mut PlainOutcome,
) -> Result<()> {
    let matrix = |(group, rows): (&Vec<String>, Vec<usize>)| {
        let elsewhere = [0, 1, 2].map(|k| singles.map_or(&[][..], |singles| singles.of(group, k)));
        let of_row =
            |&i: &usize| TripleObservation { dose: table.rows[i].doses, response: table.rows[i].response, weight: 1.0 };
        let mut observations: Vec<TripleObservation> = rows.iter().map(of_row).collect();
        for (k, alone) in elsewhere.iter().enumerate() {
            let own = rows.iter().map(|&i| table.rows[i].doses[k]);
            observations.extend(at_doses_of(own, alone).into_iter().map(|(dose, response)| {
                let mut at = [0.0; 3];
                at[k] = dose;
                TripleObservation { dose: at, response, weight: 1.0 }
            }));
        }
        TripleMatrix::new(observations)
    };
    let matrices: Vec<TripleMatrix> = table.groups.iter().zip(by_group(table)).map(matrix).collect();
    let fit = fit_settings(settings);
    let mut scores = score_triples(&matrices, &fit, backend)?;
    let units: Vec<u64> =
        table.groups.iter().map(|group| hash_of_names(group.iter().map(|name| Some(name.as_str())))).collect();
    add_triple_intervals(&mut scores, &matrices, &units, &fit, settings.bootstrap, settings.seed, backend)?;
    outcome.units = matrices.len();
    outcome.failed = scores.iter().filter(|m| m.scores.iter().any(|s| s.score.is_none())).count();
    let [name, surfaces] = TABLES;
    let groups: Vec<&Vec<String>> = table.groups.iter().collect();
    let of_cells: Vec<&Vec<String>> =
        groups.iter().zip(&scores).flat_map(|(group, score)| std::iter::repeat_n(*group, score.n_cells)).collect();
    let identity = identity(settings)?;
    let results = [
        triples_table(keyed(name, &mapping.group, &groups), &scores),
        triple_surfaces_table(keyed(surfaces, &mapping.group, &of_cells), &matrices, &scores),
    ];
    for result in results {
        outcome.files.push(files::write(&result, &settings.out, &identity, settings.csv)?);
    }
    Ok(())
}
