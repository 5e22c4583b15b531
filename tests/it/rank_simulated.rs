//! The ranking of simulated screens against what was planted in them. The screens are made by surfaces and artefacts that
//! are fitted nowhere (`src/simulate`).

use assert_cmd::Command;
use isobole::report::files;
use isobole::report::table::{Table, Values};
use isobole::simulate::{MusycSurface, Planted, Recipe, Scale, write};
use std::path::Path;

/// What a number of screens showed.
#[derive(Debug, Default)]
struct Shown {
    /// Of the pairs at the top, those that were planted; and all at the top.
    top: [usize; 2],
    /// Discoveries of null pairs, and all discoveries: by score, by differential.
    false_discoveries: [f64; 2],
    screens: f64,
    /// True ranks within their interval, and all.
    covered: [usize; 2],
    /// p of null pairs: of the score, of the differential.
    null: [Vec<f64>; 2],
}

/// A screen, and its result in `folder`.
fn screen(folder: &Path, scale: Scale, is_null: bool, extra: &[&str]) -> Recipe {
    let mut recipe = Recipe::generic(scale).expect("a recipe");
    if is_null {
        for pair in &mut recipe.pairs {
            pair.planted = Planted::None;
            pair.interactions.iter_mut().for_each(|i| *i = isobole::simulate::Interaction::NONE);
        }
    }
    write(&isobole::simulate::simulate(&recipe).expect("plates"), folder).expect("files");
    let mut command = Command::cargo_bin("isobole").expect("the program");
    command.arg("run").arg(folder.join("plates.parquet")).arg("--lines").arg(folder.join("lines.csv"));
    command.args(["--synergy", "bliss", "--backend", "cpu", "--quiet", "--out"]).arg(folder.join("out"));
    command.args(extra).assert().success();
    recipe
}

fn texts(table: &Table, column: &str) -> Vec<String> {
    let values = table.column(column).expect(column);
    (0..table.rows()).map(|row| values.text(row).unwrap_or("").to_owned()).collect()
}

fn numbers(table: &Table, column: &str) -> Vec<Option<f64>> {
    let values = table.column(column).expect(column);
    (0..table.rows()).map(|row| values.number(row)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// log10 of the dose in M at which a falling response crosses a level.
fn crossing(viability: impl Fn(f64) -> f64, level: f64) -> Option<f64> {
    let (mut low, mut high) = (-12.0f64, -2.0f64);
    if viability(10f64.powf(high)) > level {
        return None;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if viability(10f64.powf(middle)) > level { low = middle } else { high = middle }
    }
    Some(low)
}

/// The true composite of each pair, in the order of the `pairs` table, with the default weights. Which partner dose speaks
/// for the rescue, which window for the efficacy and which wells are doubtful is taken from the tables: they are choices.
fn true_composites(recipe: &Recipe, out: &Path) -> Vec<f64> {
    let read = |name: &str| files::read(&out.join(format!("{name}.parquet"))).expect(name);
    let (pairs, synergy, rescued) = (read("pairs"), read("synergy"), read("resensitisation"));
    let key = |table: &Table, partner: &str| -> Vec<(String, String)> {
        texts(table, "cell_line").into_iter().zip(texts(table, partner)).collect()
    };
    let (of_synergy, of_rescued) = (key(&synergy, "drug_b"), key(&rescued, "partner"));
    let (peak_a, peak_b) = (numbers(&synergy, "peak_dose_a_molar_bliss"), numbers(&synergy, "peak_dose_b_molar_bliss"));
    let Some(Values::Flag(is_ranked)) = rescued.column("is_ranked") else { panic!("is_ranked") };
    let (fractions, doses) = (numbers(&rescued, "rescue_fraction"), numbers(&rescued, "partner_dose_molar"));
    let (burden, shown) = (numbers(&pairs, "qc_burden"), numbers(&pairs, "rescue_fraction"));
    let composite = |(row, partner): (usize, String)| {
        let pair = recipe.pairs.iter().position(|p| recipe.drugs[p.drug_b].name == partner).expect("a pair");
        let (mut score, mut more, mut rescue, mut kill) = (vec![], vec![], vec![], vec![]);
        for (line, made) in recipe.lines.iter().enumerate() {
            let Some(parent) = &made.parental else { continue };
            let parent = recipe.lines.iter().position(|l| l.name == *parent).expect("a parent");
            let surface = |line: usize| -> MusycSurface { recipe.surface(pair, line).expect("a surface") };
            let excess = |line: usize| {
                let doses = |drug: usize| recipe.drugs[drug].doses_um.as_slice();
                surface(line).mean_bliss_excess(doses(recipe.pairs[pair].drug_a), doses(recipe.pairs[pair].drug_b))
            };
            score.push(excess(line));
            more.push(excess(line) - excess(parent));
            let own = (made.name.clone(), partner.clone());
            let viability = |a: f64, b: f64| surface(line).viability(1e6 * a, 1e6 * b);
            let at = of_synergy.iter().position(|key| *key == own).expect("a matrix");
            if let Some((a, b)) = peak_a[at].zip(peak_b[at]) {
                let near = [0.25, 1.0, 4.0];
                let window: Vec<f64> =
                    near.iter().flat_map(|x| near.iter().map(move |y| 1.0 - viability(a * x, b * y))).collect();
                kill.push(mean(&window));
            }
            let rows = (0..of_rescued.len()).filter(|&i| of_rescued[i] == own && is_ranked[i] == Some(true));
            for i in rows.filter(|&i| fractions[i].is_some()) {
                let dose = doses[i].expect("a dose");
                let alone = crossing(|a| viability(a, 0.0), 0.5);
                let with = crossing(|a| viability(a, dose), 0.5 * viability(0.0, dose));
                let parental = crossing(|a| surface(parent).viability(1e6 * a, 0.0), 0.5);
                if let (Some(alone), Some(with), Some(parental)) = (alone, with, parental) {
                    rescue.push(1.0 - (with - parental) / (alone - parental));
                }
            }
        }
        let rescue = if shown[row].is_some() { mean(&rescue).clamp(-1.0, 1.0) } else { 0.0 };
        mean(&score) + 0.5 * mean(&more) + 0.05 * (rescue + mean(&kill)) - 0.05 * burden[row].unwrap_or(0.0)
    };
    texts(&pairs, "drug_b").into_iter().enumerate().map(composite).collect()
}

impl Shown {
    fn see(&mut self, recipe: &Recipe, out: &Path) {
        let pairs = files::read(&out.join("pairs.parquet")).expect("pairs");
        let planted = |partner: &String| {
            let of = |p: &&isobole::simulate::PairRecipe| recipe.drugs[p.drug_b].name == *partner;
            recipe.pairs.iter().find(of).expect("a pair").planted
        };
        let kinds: Vec<Planted> = texts(&pairs, "drug_b").iter().map(planted).collect();
        let is_winner = |kind: &Planted| matches!(kind, Planted::ResistantSelective | Planted::Shared);
        let winners = kinds.iter().filter(|kind| is_winner(kind)).count();
        self.top[0] += kinds[..winners].iter().filter(|kind| is_winner(kind)).count();
        self.top[1] += winners;
        for (k, (p, q)) in [("p", "q"), ("differential_p", "differential_q")].into_iter().enumerate() {
            let (p, q) = (numbers(&pairs, p), numbers(&pairs, q));
            let found: Vec<bool> =
                (0..kinds.len()).filter(|&i| q[i] <= Some(0.05)).map(|i| kinds[i] == Planted::None).collect();
            self.false_discoveries[k] +=
                found.iter().filter(|is_null| **is_null).count() as f64 / found.len().max(1) as f64;
            self.null[k].extend((0..kinds.len()).filter(|&i| kinds[i] == Planted::None).filter_map(|i| p[i]));
        }
        self.screens += 1.0;
        let truth = true_composites(recipe, out);
        let (low, high) = (numbers(&pairs, "rank_low"), numbers(&pairs, "rank_high"));
        for (i, own) in truth.iter().enumerate() {
            let rank = 1 + truth.iter().filter(|other| *other > own).count();
            let inside = low[i].zip(high[i]).is_some_and(|(low, high)| (low..=high).contains(&(rank as f64)));
            self.covered[0] += usize::from(inside);
            self.covered[1] += 1;
        }
    }

    fn precision(&self) -> f64 {
        self.top[0] as f64 / self.top[1] as f64
    }

    fn coverage(&self) -> f64 {
        self.covered[0] as f64 / self.covered[1] as f64
    }

    fn false_discovery_rate(&self, k: usize) -> f64 {
        self.false_discoveries[k] / self.screens
    }
}

/// Kolmogorov and Smirnov's distance from the uniform law, times the root of the number.
fn distance(p: &[f64]) -> f64 {
    let mut p = p.to_vec();
    p.sort_by(f64::total_cmp);
    let n = p.len() as f64;
    let of = |(i, p): (usize, &f64)| (p - i as f64 / n).max((i + 1) as f64 / n - p);
    p.iter().enumerate().map(of).fold(0.0, f64::max) * n.sqrt()
}

/// 1 % point of that distance.
const ONE_PERCENT: f64 = 1.63;

#[test]
fn planted_pairs_lead_and_ranks_are_as_sure_as_they_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let scale = Scale { lines: Some(6), pairs: Some(84), seed: 41, ..Scale::default() };
    let recipe = screen(folder.path(), scale, false, &["--bootstrap", "60"]);
    let out = folder.path().join("out");
    let mut shown = Shown::default();
    shown.see(&recipe, &out);
    assert!(shown.precision() >= 0.85, "{shown:?}");
    assert!((0.78..=0.99).contains(&shown.coverage()), "{}", shown.coverage());
    assert!(shown.false_discoveries.iter().all(|share| *share <= 0.25), "{:?}", shown.false_discoveries);
    assert!(shown.null.iter().all(|p| distance(p) < ONE_PERCENT), "{:?}", shown.null.each_ref().map(|p| distance(p)));
    // The counts can fail: against another screen's truth nothing is right.
    let other = Recipe::generic(Scale { seed: 42, ..scale }).expect("a recipe");
    let mut wrong = Shown::default();
    wrong.see(&other, &out);
    assert!(wrong.precision() < 0.5 && wrong.false_discoveries[0] > 0.5, "{wrong:?}");
}

#[test]
fn where_nothing_is_planted_p_is_uniform() {
    let folder = tempfile::tempdir().expect("a folder");
    let scale = Scale { lines: Some(4), pairs: Some(70), seed: 7, ..Scale::default() };
    let recipe = screen(folder.path(), scale, true, &["--bootstrap", "60"]);
    let mut shown = Shown::default();
    shown.see(&recipe, &folder.path().join("out"));
    assert_eq!(shown.null[0].len(), 70);
    for p in &shown.null {
        assert!(distance(p) < ONE_PERCENT, "{}", distance(p));
        let doubled: Vec<f64> = p.iter().map(|p| p * p * p).collect();
        assert!(distance(&doubled) > ONE_PERCENT, "the distance can fail");
    }
}

/// The bars: 200 pairs in three resistant lines and their parents, 20 planted, over several screens. Takes minutes; run with
/// `cargo test --release -- --ignored ranking_at_large --nocapture`.
#[test]
#[ignore = "takes minutes: the bars at their full size"]
fn ranking_at_large() {
    let mut shown = Shown::default();
    let mut null = Shown::default();
    for seed in 101..=116 {
        for (is_null, shown) in [(false, &mut shown), (true, &mut null)] {
            let folder = tempfile::tempdir().expect("a folder");
            let scale = Scale { lines: Some(6), pairs: Some(200), seed, ..Scale::default() };
            let recipe = screen(folder.path(), scale, is_null, &[]);
            shown.see(&recipe, &folder.path().join("out"));
        }
    }
    println!(
        "precision of the top {:.3}, coverage of rank intervals {:.3}, FDR {:.3} (score) {:.3} (differential)",
        shown.precision(),
        shown.coverage(),
        shown.false_discovery_rate(0),
        shown.false_discovery_rate(1),
    );
    println!(
        "distances: mixed {:.2} {:.2}, all null {:.2} {:.2}",
        distance(&shown.null[0]),
        distance(&shown.null[1]),
        distance(&null.null[0]),
        distance(&null.null[1])
    );
    assert!(shown.precision() >= 0.9 && (0.87..=0.93).contains(&shown.coverage()));
    assert!((0.03..=0.07).contains(&shown.false_discovery_rate(0)));
    assert!((0.03..=0.07).contains(&shown.false_discovery_rate(1)));
    assert!(null.null.iter().all(|p| distance(p) < ONE_PERCENT));
}
