//! Whether doses follow the rows or columns of a plate: a median polish would then take the drugs' effect for the
//! plate's.

use crate::math::special::f_upper_tail;
use crate::screen::names::NameId;
use crate::screen::well::Well;
use std::collections::BTreeMap;

/// A randomised plate is called arranged this rarely, for each drug column and direction asked.
const P_ARRANGED: f64 = 1e-4;
/// Sample wells at a dose below which nothing can be said.
const FEWEST_WELLS: usize = 8;

/// Why the plate is not a randomised one, if it is not: an analysis of variance of the wells' dose ranks within
/// their drug, by row and by column. Plates of one dose a drug (libraries) have no ranks to follow anything.
pub fn arranged(wells: impl Iterator<Item = Well> + Clone) -> Option<String> {
    for slot in 0..3 {
        let mut doses: BTreeMap<NameId, Vec<f64>> = BTreeMap::new();
        for treatment in wells.clone().filter_map(|well| well.treatments[slot]) {
            doses.entry(treatment.drug).or_default().push(treatment.dose);
        }
        for levels in doses.values_mut() {
            levels.sort_by(f64::total_cmp);
            levels.dedup();
        }
        let rank = |well: Well| {
            let treatment = well.treatments[slot]?;
            let levels = doses.get(&treatment.drug).filter(|levels| levels.len() > 1)?;
            let below = levels.partition_point(|dose| *dose < treatment.dose);
            Some((well.position?, below as f64 / (levels.len() - 1) as f64))
        };
        let ranks: Vec<_> = wells.clone().filter_map(rank).collect();
        if ranks.len() < FEWEST_WELLS {
            continue;
        }
        for (name, by_row) in [("rows", true), ("columns", false)] {
            let keyed = ranks.iter().map(|(at, rank)| (if by_row { at.row } else { at.column }, *rank));
            if let Some(p) = one_way_p(keyed.collect()).filter(|p| *p < P_ARRANGED) {
                let drug = ["drug_a", "drug_b", "drug_c"][slot];
                return Some(format!(
                    "doses of `{drug}` follow the plate's {name} (F test, p = {p:.0e}): a median polish would take the effect of \
                     the drugs for one of the {name}; correct with --spatial, or force it with --force-b-score"
                ));
            }
        }
    }
    None
}

/// P of the F test that groups have one mean; `None` where there is nothing to compare.
fn one_way_p(values: Vec<(u16, f64)>) -> Option<f64> {
    let mean = values.iter().map(|(_, v)| v).sum::<f64>() / values.len() as f64;
    let mut groups: BTreeMap<u16, (f64, f64)> = BTreeMap::new();
    for (group, value) in &values {
        let (sum, n) = groups.entry(*group).or_default();
        (*sum, *n) = (*sum + value, *n + 1.0);
    }
    let total: f64 = values.iter().map(|(_, v)| (v - mean).powi(2)).sum();
    let between: f64 = groups.values().map(|(sum, n)| n * (sum / n - mean).powi(2)).sum();
    let (df_between, df_within) = (groups.len() as f64 - 1.0, values.len() as f64 - groups.len() as f64);
    if df_between < 1.0 || df_within < 1.0 || total <= 0.0 {
        return None;
    }
    let within = (total - between).max(1e-12 * total);
    Some(f_upper_tail(between / df_between / (within / df_within), df_between, df_within))
}
