//! A made-up screen: structs filled by hand, with numbers that a reader can follow.

use isobole::fit::{Fit, MAX_PARAMETERS, Refit, Status};
use isobole::model::ModelId;
use isobole::plate::flags::WellFlags;
use isobole::plate::spatial::{Effect, Spatial};
use isobole::plate::{BatchQuality, PlateQuality, Verdict};
use isobole::rank::RankedPair;
use isobole::report::page::Page;
use isobole::report::run_json::{Counts, InputFile, RunRecord};
use isobole::resistance::Resistance;
use isobole::resistance::mechanism::Mechanisms;
use isobole::screen::dose_matrix::{Curve, CurveKey, CurvePoint, MatrixKey};
use isobole::screen::line::{LineAnnotation, LineStatus};
use isobole::screen::names::Names;
use isobole::screen::rejections::Rejections;
use isobole::screen::well::WellPosition;
use isobole::screen::{Rejected, Screen};
use isobole::synergy::{MatrixScore, Score, SurfaceCell, SynergyModel};

/// Everything that a page borrows.
pub struct MadeUp {
    pub screen: Screen,
    pub run: RunRecord,
    pub pairs: Vec<RankedPair>,
    pub matrices: Vec<MatrixScore>,
    pub curves: Vec<Curve>,
    pub fits: Vec<Fit>,
    pub resistance: Vec<Resistance>,
    pub mechanisms: Mechanisms,
    pub plates: Vec<PlateQuality>,
    pub batches: Vec<BatchQuality>,
    pub flagged: [usize; WellFlags::CODES.len()],
    pub rejected: Rejections,
}

pub const MODELS: [SynergyModel; 2] = [SynergyModel::Hsa, SynergyModel::Bliss];

impl MadeUp {
    pub fn page(&self) -> Page<'_> {
        Page {
            title: "Clofarabine partners, made up",
            screen: &self.screen,
            run: &self.run,
            anchor: "clofarabine",
            models: &MODELS,
            score_model: SynergyModel::Bliss,
            pairs: &self.pairs,
            schedules: &[],
            confirmations: &[],
            matrices: &self.matrices,
            curves: &self.curves,
            fits: &self.fits,
            model: ModelId::Hill4,
            resistance: &self.resistance,
            cross_resistance: &[],
            resensitisation: &[],
            mechanisms: &self.mechanisms,
            apoptosis: &[],
            clinic: &[],
            plates: &self.plates,
            batches: &self.batches,
            flagged: self.flagged,
            rejected: &self.rejected,
            pairs_drawn: 6,
        }
    }

    /// Nothing at all, as after a run in which every well was rejected.
    pub fn empty() -> Self {
        Self {
            screen: Screen::default(),
            run: RunRecord::new(serde_json::json!({}), "cpu", "", 0),
            pairs: Vec::new(),
            matrices: Vec::new(),
            curves: Vec::new(),
            fits: Vec::new(),
            resistance: Vec::new(),
            mechanisms: Mechanisms::default(),
            plates: Vec::new(),
            batches: Vec::new(),
            flagged: [0; WellFlags::CODES.len()],
            rejected: Rejections::default(),
        }
    }
}

pub fn names<'a>(texts: impl IntoIterator<Item = &'a str>) -> Names {
    let mut names = Names::default();
    for text in texts {
        names.intern(text);
    }
    names
}

/// A number between -1 and 1 that looks like noise and is always the same.
pub fn wobble(i: usize) -> f64 {
    ((i as f64 * 12.9898).sin() * 43_758.545).fract()
}

fn hill(dose: f64, bottom: f64, ec50: f64, slope: f64) -> f64 {
    if dose == 0.0 { 1.0 } else { bottom + (1.0 - bottom) / (1.0 + (dose / ec50).powf(slope)) }
}

pub fn doses(low: f64, n: usize) -> Vec<f64> {
    std::iter::once(0.0).chain((0..n).map(|i| low * 10_f64.powf(i as f64 * 0.5))).collect()
}

pub fn fit(top: f64, bottom: f64, ec50: f64, slope: f64) -> Fit {
    let mut parameters = [0.0; MAX_PARAMETERS];
    parameters[..4].copy_from_slice(&[top, bottom, ec50.ln(), slope]);
    Fit { status: Status::Converged, parameters, sse: 0.01, iterations: 9, at_bound: 0, refit: Refit::None }
}

pub fn points(doses: &[f64], bottom: f64, ec50: f64, slope: f64, seed: usize) -> Vec<CurvePoint> {
    let point = |(i, dose): (usize, &f64)| CurvePoint {
        dose: *dose,
        response: hill(*dose, bottom, ec50, slope) + 0.04 * wobble(seed + i),
        weight: 3.0,
        n: 3,
        sum_of_squares: 2.0 * (0.03 + 0.03 * wobble(seed * 7 + i).abs()).powi(2),
    };
    doses.iter().enumerate().map(point).collect()
}

pub fn quality(plate: u32, z_prime: Option<f64>) -> PlateQuality {
    let verdict = match z_prime {
        None => Verdict::Unusable,
        Some(z) if z < 0.2 => Verdict::Bad,
        Some(z) if z < 0.5 => Verdict::Marginal,
        Some(_) => Verdict::Good,
    };
    PlateQuality {
        line: None,
        batch: None,
        replicate: None,
        n_set_aside: 0,
        plate,
        n_wells: 384,
        n_vehicle: if z_prime.is_some() { 16 } else { 0 },
        n_positive: 16,
        n_blank: 0,
        background: 0.0,
        vehicle_mean: z_prime.map(|_| 52_000.0),
        low_control: z_prime.map(|_| "positive"),
        z_prime,
        z_prime_robust: z_prime,
        ssmd: z_prime.map(|z| 3.0 / (1.05 - z)),
        ssmd_robust: None,
        signal_to_noise: None,
        spatial: Spatial::default(),
        residual_error: None,
        replicate_correlation: None,
        n_flagged: 0,
        cv_vehicle: z_prime.map(|z| (1.0 - z) / 4.0),
        signal_to_background: z_prime.map(|_| 18.0),
        edge_effect: z_prime.map(|_| -0.03),
        verdict,
        reason: match verdict {
            Verdict::Unusable => "no_vehicle".into(),
            Verdict::Bad => "z_prime_low;edge_effect".into(),
            Verdict::Marginal => "z_prime_marginal".into(),
            _ => String::new(),
        },
    }
}

pub fn matrix(
    key: MatrixKey,
    (bottom_a, ec50_a): (f64, f64),
    (bottom_b, ec50_b): (f64, f64),
    boost: f64,
) -> MatrixScore {
    let (doses_a, doses_b) = (doses(1e-9, 7), doses(1e-8, 5));
    let mut cells = Vec::new();
    for (i, a) in doses_a.iter().enumerate() {
        for (j, b) in doses_b.iter().enumerate() {
            let (alone_a, alone_b) = (hill(*a, bottom_a, ec50_a, 1.4), hill(*b, bottom_b, ec50_b, 1.1));
            let bliss = alone_a * alone_b;
            let bump = (-((i as f64 - 4.0).powi(2) + (j as f64 - 3.0).powi(2)) / 4.0).exp();
            let is_combination = i > 0 && j > 0;
            let excess = if is_combination { boost * bump + 0.02 * wobble(i * 31 + j) } else { 0.0 };
            let observed = (bliss - excess).max(0.01);
            let of = |expected: f64| is_combination.then_some(expected - observed);
            cells.push(SurfaceCell {
                dose_a: *a,
                dose_b: *b,
                observed,
                n: 2,
                expected: vec![Some(alone_a.min(alone_b)), Some(bliss)],
                excess: vec![of(alone_a.min(alone_b)), of(bliss)],
                consensus: None,
                departures: vec![None; 2],
            });
        }
    }
    let combinations: Vec<f64> = cells.iter().filter_map(|c| c.excess[1]).collect();
    let mean = combinations.iter().sum::<f64>() / combinations.len() as f64;
    let score = |shift: f64| Score {
        score: Some(mean + shift),
        unflagged: Some(mean + shift),
        peak: Some(boost * 0.7),
        peak_dose_a: Some(doses_a[4]),
        peak_dose_b: Some(doses_b[3]),
        standard_error: Some(0.015),
        p: Some(0.0004),
        q: Some(0.003),
        ci_low: Some(mean + shift - 0.03),
        ci_high: Some(mean + shift + 0.03),
        reason: None,
        ..Score::default()
    };
    let flags = if boost < 0.0 { "margin_b_flat".into() } else { String::new() };
    MatrixScore {
        n_cells: combinations.len(),
        n_wells: combinations.len() * 2,
        scores: vec![score(0.03), score(0.0)],
        efficacy: Some(0.94),
        sigma: Some(0.05),
        qc_burden: Some(0.0),
        flags,
        cells,
        ..MatrixScore::unscored(key)
    }
}

/// Two parental and three resistant lines, six partners.
pub fn screen() -> MadeUp {
    let partners = ["venetoclax", "cytarabine", "decitabine", "dasatinib", "fludarabine", "imatinib"];
    let line_names = ["HL-60", "HL-60/CAF20", "HL-60/CAF80", "MOLM-13", "MOLM-13/CAF"];
    let parents = [None, Some(0), Some(0), None, Some(3)];
    let mechanisms = [None, Some("loss of dCK"), Some("loss of dCK; BCL-2 up"), None, None];
    let folds = [1.0, 20.0, 80.0, 1.0, 6.5];
    let mut made = MadeUp::empty();
    made.screen.drugs = names(std::iter::once("clofarabine").chain(partners));
    made.screen.lines = names(line_names);
    made.screen.plates = names((0..96).map(|i| format!("CAF-{i:03}")).collect::<Vec<_>>().iter().map(String::as_str));
    for (parent, mechanism) in parents.iter().zip(mechanisms) {
        made.screen.annotations.push(LineAnnotation {
            parental: *parent,
            status: None,
            mechanism: mechanism.map(str::to_owned),
            doubling_time_h: None,
        });
    }
    let boosts = [0.45, 0.28, 0.2, 0.12, 0.02, -0.15];
    for line in 0..5_u32 {
        let resistant = parents[line as usize].is_some();
        let ec50 = 2.4e-8 * folds[line as usize];
        for drug in 0..7_u32 {
            let range = if drug == 0 { doses(1e-9, 8) } else { doses(1e-8, 7) };
            let (bottom, half) =
                if drug == 0 { (0.05, ec50) } else { (0.1 + 0.1 * f64::from(drug), 3e-7 * f64::from(drug)) };
            let key = CurveKey { line, drug, schedule: None };
            made.curves.push(Curve { key, points: points(&range, bottom, half, 1.2, (line * 10 + drug) as usize) });
            made.fits.push(fit(1.0, bottom, half, 1.2));
            let is_anchor = drug == 0;
            let above = bottom >= 0.5 || half > 3e-6;
            made.resistance.push(Resistance {
                line,
                drug,
                log10_ic50: (!above).then(|| half.log10()),
                log10_ic50_se: Some(0.05),
                ic50_censored: if above { "above" } else { "none" },
                parental: parents[line as usize],
                fold_resistance: resistant.then_some(if is_anchor { folds[line as usize] } else { 1.1 }),
                ci_low: resistant.then_some(if is_anchor { folds[line as usize] / 1.6 } else { 0.8 }),
                ci_high: resistant.then_some(if is_anchor { folds[line as usize] * 1.6 } else { 1.4 }),
                status: Some(if resistant { LineStatus::Resistant } else { LineStatus::Parental }),
                status_source: if line < 3 { "annotated" } else { "called" },
                reason: (!resistant).then_some("is_the_parent"),
                ..Resistance::unknown(line, drug, "made_up")
            });
        }
        for partner in 1..7_u32 {
            let key = MatrixKey { block: None, line, drug_a: 0, drug_b: partner, schedule: None };
            let boost = boosts[partner as usize - 1] * if resistant { 1.0 } else { 0.45 };
            let b = (0.1 + 0.1 * f64::from(partner), 3e-7 * f64::from(partner));
            made.matrices.push(matrix(key, (0.05, ec50), b, boost));
        }
    }
    for (i, boost) in boosts.into_iter().enumerate() {
        let score = boost * 0.32;
        let known = i == 0;
        made.pairs.push(RankedPair {
            drug_a: 0,
            drug_b: i as u32 + 1,
            schedule: None,
            rank: i + 1,
            score: Some(score),
            ci_low: Some(score - 0.025),
            ci_high: Some(score + 0.025),
            p: Some(1e-5 * 40_f64.powi(i as i32).min(9e4)),
            q: Some((2e-5 * 30_f64.powi(i as i32)).min(0.97)),
            p_top_k: Some([0.99, 0.92, 0.74, 0.3, 0.04, 0.0][i]),
            n_resistant: 3,
            n_parental: 2,
            score_parental: Some(score * 0.45),
            differential: Some(score * 0.55),
            differential_p: Some(0.004),
            differential_q: Some(0.01 * (i + 1) as f64),
            selectivity: ["resistant_selective", "shared", "shared", "none", "none", "none"][i],
            fold_change: known.then_some(9.2),
            rescue_fraction: known.then_some(0.64),
            dose_reduction_index: known.then_some(6.1),
            efficacy: Some(0.94 - 0.08 * i as f64),
            qc_burden: 0.03 * i as f64,
            mechanism: "loss of dCK;BCL-2 up".into(),
            rationale: if known {
                "Clofarabine-resistant sublines raise BCL-2; a BCL-2 inhibitor removes that protection.".into()
            } else {
                String::new()
            },
            evidence: if known { "doi 10.1111/cas.12131".into() } else { String::new() },
            flags: ["", "", "discordant_models", "", "no_parent", "margin_b_flat;few_cells"][i].into(),
            composite: Some(1.4 * score),
            rank_low: Some(i.max(1)),
            rank_high: Some(i + 2),
            ..RankedPair::default()
        });
    }
    made.plates = (0..96)
        .map(|i| quality(i, (i != 41).then(|| 0.66 + 0.14 * wobble(i as usize) - if i % 29 == 7 { 0.5 } else { 0.0 })))
        .collect();
    let worst = &mut made.plates[36];
    let effect = |sd: f64, p: f64| Some(Effect { sd, p });
    worst.spatial = Spatial { row: effect(0.124, 3e-5), column: effect(0.0, 0.41), ..Spatial::default() };
    (worst.ssmd_robust, worst.residual_error, worst.replicate_correlation) = (Some(4.25), Some(0.231), Some(0.874));
    (worst.n_flagged, worst.batch) = (23, Some(made.screen.batches.intern("monday")));
    let batch = BatchQuality {
        batch: worst.batch,
        n_plates: 96,
        n_good: 91,
        n_bad: 5,
        n_wells: 36_860,
        n_flagged: 61,
        z_prime: Some(0.58),
        cv_vehicle: Some(0.061),
        drift_per_plate: Some(-0.0021),
        drift_p: Some(0.0004),
        replicate_correlation: Some(0.93),
        ..BatchQuality::default()
    };
    made.batches = vec![batch.clone(), BatchQuality { is_screen: true, batch: None, drift_per_plate: None, ..batch }];
    // Out of order, in a cluster, on a bad plate.
    (made.flagged[2], made.flagged[6], made.flagged[8]) = (38, 23, 1536);
    for (i, reason) in ["empty_well", "empty_well", "no_vehicle", "signal_missing"].into_iter().enumerate() {
        let well = WellPosition::new(1, 1 + i as u16);
        made.rejected.push(Rejected {
            plate: i as u32,
            well,
            reason,
            detail: if i == 3 { "signal is empty".into() } else { String::new() },
        });
    }
    let settings = serde_json::json!({
        "model": "hill4", "synergy": ["hsa", "bliss"], "rank_by": "bliss", "margins": "fitted", "seed": 20, "bootstrap": 200,
        "inputs": ["plates.parquet"], "anchor": "clofarabine", "top_k": 10
    });
    made.run = RunRecord::new(settings, "gpu", "NVIDIA H100, Vulkan, driver 570.1", 20);
    made.run.backend_reason = Some("a hardware GPU was found".into());
    made.run.fits_refitted_share = Some(0.0031);
    made.run.warnings.push("plate `CAF-041` has no vehicle wells: its 384 wells are rejected".into());
    made.run.warnings.push("3 drugs were tested over less than two decades of dose".into());
    made.run.inputs.push(InputFile { path: "plates.parquet".into(), bytes: 1_803_382, sha256: "ab".repeat(32) });
    made.run.counts = Counts {
        wells_in: 36_864,
        wells_used: 36_860,
        wells_rejected: 4,
        rejected_by_reason: [
            ("empty_well".to_owned(), 2),
            ("no_vehicle".to_owned(), 1),
            ("signal_missing".to_owned(), 1),
        ]
        .into(),
        plates: 96,
        curves: 35,
        matrices: 30,
        pairs: 6,
    };
    made
}
