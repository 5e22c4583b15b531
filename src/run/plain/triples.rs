//! Matrices of three drugs in a plain table.

use super::synergy::{Work, at_doses_of, by_group};
use super::{PlainOutcome, keyed};
use crate::Result;
use crate::analysis::fit_settings;
use crate::report::files;
use crate::screen::dose_matrix::ENOUGH_DOSES;
use crate::screen::triple_matrix::{TripleMatrix, TripleObservation};
use crate::synergy::SynergyModel;
use crate::synergy::noise::hash_of_names;
use crate::synergy::three::TripleMatrixScore;
use crate::synergy::three::bootstrap::add_triple_intervals;
use crate::synergy::three::musyc_table::{rows_of, triple_interactions_table};
use crate::synergy::three::reference::Reference;
use crate::synergy::three::score::score_triples;
use crate::synergy::three::table::{triple_surfaces_table, triples_table};

/// The tables.
pub(super) const TABLES: [&str; 3] = ["triples", "triple_surfaces", "triple_interactions"];

/// Scores them.
pub(super) fn score(work: &Work<'_>, outcome: &mut PlainOutcome) -> Result<()> {
    let &Work { settings, mapping, table, singles, identity, backend } = work;
    let musyc = settings.synergy.contains(&SynergyModel::Musyc);
    let usual = |model: &SynergyModel| *model == SynergyModel::Musyc || SynergyModel::REFERENCES.contains(model);
    if !settings.synergy.iter().all(usual) || settings.combination_index || !settings.dose_limits.is_empty() {
        let references = Reference::ALL.map(Reference::name).join(", ");
        outcome.notes.push(format!(
            "three drugs are scored by {references}, and by musyc where that is asked for: other models and \
             --dose-limits are for two"
        ));
    }
    let matrix = |(group, rows): (&Vec<String>, Vec<usize>)| {
        let elsewhere = [0, 1, 2].map(|k| singles.map_or(&[][..], |singles| singles.of(group, k)));
        let of_row =
            |&i: &usize| TripleObservation { dose: table.rows[i].doses, response: table.rows[i].response, weight: 1.0 };
        let mut observations: Vec<TripleObservation> = rows.iter().map(of_row).collect();
        for (k, alone) in elsewhere.iter().enumerate() {
            // As for pairs: a matrix's own single drugs are not mixed with those of another table.
            let is_alone = |doses: [f64; 3]| doses[k] > 0.0 && (0..3).all(|j| j == k || doses[j] == 0.0);
            let mut doses_alone: Vec<f64> =
                rows.iter().map(|&i| table.rows[i].doses).filter(|d| is_alone(*d)).map(|d| d[k]).collect();
            doses_alone.sort_by(f64::total_cmp);
            doses_alone.dedup();
            if doses_alone.len() >= ENOUGH_DOSES {
                continue;
            }
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
    let mut scores = score_triples(&matrices, musyc, &fit, backend)?;
    let units: Vec<u64> =
        table.groups.iter().map(|group| hash_of_names(group.iter().map(|name| Some(name.as_str())))).collect();
    add_triple_intervals(&mut scores, &matrices, &units, &fit, settings.bootstrap, settings.seed, backend)?;
    outcome.units = matrices.len();
    let failed = |m: &&TripleMatrixScore| {
        m.scores.iter().any(|s| s.score.is_none()) || m.musyc.as_ref().is_some_and(|found| found.is_err())
    };
    outcome.failed = scores.iter().filter(failed).count();
    let [name, surfaces, interactions] = TABLES;
    let groups: Vec<&Vec<String>> = table.groups.iter().collect();
    let of_cells: Vec<&Vec<String>> =
        groups.iter().zip(&scores).flat_map(|(group, score)| std::iter::repeat_n(*group, score.n_cells)).collect();
    let of_rows: Vec<&Vec<String>> =
        groups.iter().zip(&scores).flat_map(|(group, score)| std::iter::repeat_n(*group, rows_of(score))).collect();
    let mut results = vec![
        triples_table(keyed(name, &mapping.group, &groups), &scores),
        triple_surfaces_table(keyed(surfaces, &mapping.group, &of_cells), &matrices, &scores),
    ];
    if musyc {
        results.push(triple_interactions_table(keyed(interactions, &mapping.group, &of_rows), &scores));
    }
    for mut result in results {
        // There are no plates whose quality could be known.
        result.columns.retain(|column| column.name != "qc_burden");
        outcome.files.push(files::write(&result, &settings.out, identity, settings.csv)?);
    }
    Ok(())
}
