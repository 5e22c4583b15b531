//! What of each pair's score, differential and score over healthy cells is told from nothing, and what is left of it without
//! each line.

use super::differential::class;
use super::draft::Draft;
use super::meta_analysis::{Pooled, pool, pool_differences};
use super::screen_scale::scale;
use crate::math::special::{benjamini_hochberg, normal_quantile};

/// Tests of every pair, with standard errors as the screen bears them out; gives the factor on those of the scores.
pub(super) fn test(drafts: &mut [Draft], has_resistant_line: bool) -> f64 {
    let statistic = |pooled: Option<Pooled>| normal_statistic(pooled?.p()?);
    let of_score = scale(drafts.iter().filter_map(|d| statistic(d.score)));
    let of_parental = scale(drafts.iter().filter_map(|d| statistic(d.parental)));
    let of_differential = scale(drafts.iter().filter_map(|d| statistic(d.differential)));
    let of_normal = scale(drafts.iter().filter_map(|d| statistic(d.over_normal)));
    for draft in drafts.iter_mut() {
        draft.score = draft.score.map(|p| p.scaled(of_score));
        draft.parental = draft.parental.map(|p| p.scaled(of_parental));
        draft.differential = draft.differential.map(|p| p.scaled(of_differential));
        draft.over_normal = draft.over_normal.map(|p| p.scaled(of_normal));
    }
    let p = |of: fn(&Draft) -> Option<Pooled>| drafts.iter().map(|d| of(d)?.p()).collect::<Vec<_>>();
    let (own, parental, differential) = (p(|d| d.score), p(|d| d.parental), p(|d| d.differential));
    let (q, parental_q, differential_q) =
        (benjamini_hochberg(&own), benjamini_hochberg(&parental), benjamini_hochberg(&differential));
    for (i, draft) in drafts.iter_mut().enumerate() {
        leave_one_out(draft, of_score, of_differential);
        let (score, differential) =
            (draft.score.and_then(|s| s.interval()), draft.differential.and_then(|d| d.interval()));
        let pair = &mut draft.pair;
        (pair.ci_low, pair.ci_high) = (score.map(|i| i.0), score.map(|i| i.1));
        (pair.differential_ci_low, pair.differential_ci_high) = (differential.map(|i| i.0), differential.map(|i| i.1));
        let over_normal = draft.over_normal.and_then(|d| d.interval());
        (pair.over_normal_ci_low, pair.over_normal_ci_high) = (over_normal.map(|i| i.0), over_normal.map(|i| i.1));
        pair.over_normal_p = draft.over_normal.and_then(|d| d.p());
        (pair.p, pair.q) = (own[i], q[i]);
        (pair.differential_p, pair.differential_q) = (draft.differential.and_then(|d| d.p()), differential_q[i]);
        if has_resistant_line {
            let scores = [pair.score, pair.score_parental, pair.differential];
            pair.selectivity = class(scores, [pair.q, parental_q[i], pair.differential_q]);
        }
    }
    of_score
}

/// The absolute standard normal statistic of a two-sided p.
pub(super) fn normal_statistic(p: f64) -> Option<f64> {
    // Beyond the smallest positive number any large statistic will do.
    Some(normal_quantile(1.0 - 0.5 * p.max(1e-15)).abs())
}

/// The score without each of its lines.
fn leave_one_out(draft: &mut Draft, of_score: f64, of_differential: f64) {
    let couples = &draft.couples;
    let without = |left_out: usize| {
        let rest: Vec<_> = (0..couples.len()).filter(|i| *i != left_out).map(|i| couples[i]).collect();
        pool_differences(&rest).map(|pooled| pooled.scaled(of_differential).mean)
    };
    if couples.len() > 1 {
        // All lines have a couple, or none has.
        let left = draft.lines.iter().enumerate().filter_map(|(i, line)| Some((without(i)?, line.line)));
        let lowest = left.min_by(|x, y| x.0.total_cmp(&y.0));
        draft.pair.differential_leave_one_out_low = lowest.map(|(mean, _)| mean);
        draft.pair.differential_leave_one_out_line = lowest.map(|(_, line)| line);
    }
    let lines = &draft.lines;
    if lines.len() < 2 {
        return;
    }
    let without = |left_out: usize| {
        let rest: Vec<_> = (0..lines.len()).filter(|i| *i != left_out).map(|i| lines[i].estimate).collect();
        pool(&rest).map(|pooled| pooled.scaled(of_score))
    };
    let all: Vec<Pooled> = (0..lines.len()).filter_map(without).collect();
    let Some(lowest) = (0..all.len()).min_by(|x, y| all[*x].mean.total_cmp(&all[*y].mean)) else { return };
    draft.pair.leave_one_out_low = Some(all[lowest].mean);
    draft.pair.leave_one_out_high = all.iter().map(|p| p.mean).reduce(f64::max);
    draft.pair.leave_one_out_line = Some(lines[lowest].line);
    let is_shown = |pooled: Option<Pooled>| pooled.and_then(|p| p.interval()).is_some_and(|(low, _)| low > 0.0);
    if is_shown(draft.score) && all.iter().any(|pooled| !is_shown(Some(*pooled))) {
        draft.raise("rests_on_one_line");
    }
}
