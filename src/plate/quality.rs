//! Quality of a plate by its controls: do vehicle and low control lie far enough apart for a score to mean anything?

use super::normalization::{clearly_above, controls, obstacle};
use super::spatial::Spatial;
use super::spread::{Moments, median_and_mad, moments};
use super::{PlateSettings, edge};
use crate::backend::WellClass;
use crate::screen::code::{self, Code};
use crate::screen::names::NameId;
use crate::screen::well::Place;

/// Z' from which an assay is excellent (Zhang 1999, doi 10.1177/108705719900400206).
pub const Z_PRIME_GOOD: f64 = 0.5;
/// Z' below which the three-sigma bands of the controls overlap (Zhang 1999).
pub const Z_PRIME_USABLE: f64 = 0.0;
/// Vehicle CV above which a plate is no longer good: the limit of the Assay Guidance Manual (HTS Assay Validation,
/// NCBI NBK83783) for the maximum signal.
pub const CV_VEHICLE_GOOD: f64 = 0.2;
/// Vehicle CV above which Z' would be below 0 whatever the low control: 1 - 3 s / m < 0.
pub const CV_VEHICLE_USABLE: f64 = 1.0 / 3.0;
/// Relative difference of outer and inner vehicle wells above which a plate is no longer good. Ours: as large as the
/// largest CV a good plate may have.
pub const EDGE_EFFECT_GOOD: f64 = 0.2;
/// Control wells of a kind that a good plate has at least. Ours: with fewer, the standard deviation is known to no
/// better than half of itself (its relative error is near 1 / sqrt(2 (n - 1))).
pub const CONTROL_WELLS_GOOD: usize = 3;
/// Share of a plate's wells set aside before this stage (no signal, unreadable, …; empty wells do not count) above
/// which it is no longer good. Ours: one row or column of a 384-well plate is 4 to 6 %.
pub const SET_ASIDE_GOOD: f64 = 0.05;

/// A plate's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// Controls separate well.
    Good,
    /// Usable; scores from it carry a burden.
    Marginal,
    /// Not to be trusted; used, and flagged.
    Bad,
    /// Could not be normalised: every well of it is rejected.
    Unusable,
    /// Already normalised input, or no low control: there is nothing to judge by.
    NotJudged,
}

impl Verdict {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Marginal => "marginal",
            Verdict::Bad => "bad",
            Verdict::Unusable => "unusable",
            Verdict::NotJudged => "not_judged",
        }
    }

    /// The worse of two; a plate that was not judged is better than a marginal one.
    fn worse(self, other: Self) -> Self {
        let badness = |v: Verdict| match v {
            Verdict::Good => 0,
            Verdict::NotJudged => 1,
            Verdict::Marginal => 2,
            Verdict::Bad => 3,
            Verdict::Unusable => 4,
        };
        if badness(other) > badness(self) { other } else { self }
    }
}

/// Quality of one plate. A `None` has its cause in `reason`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PlateQuality {
    /// The plate, in [`crate::screen::Screen::plates`].
    pub plate: NameId,
    /// The batch, where the input names it.
    pub batch: Option<NameId>,
    /// The biological replicate, where the input names one for the whole plate.
    pub replicate: Option<NameId>,
    /// The cell line. A plate with several lines has one `PlateQuality` for each: every line is normalised and judged
    /// by its own controls.
    pub line: Option<NameId>,
    /// Wells present.
    pub n_wells: usize,
    /// Vehicle wells used.
    pub n_vehicle: usize,
    /// Positive-control wells used.
    pub n_positive: usize,
    /// Blank wells used.
    pub n_blank: usize,
    /// Wells of the plate set aside before or in this stage for a fault of theirs (no signal, …); empty wells do not
    /// count.
    pub n_set_aside: usize,
    /// Mean of the blanks, 0 where there are none.
    pub background: f64,
    /// Mean vehicle signal above background.
    pub vehicle_mean: Option<f64>,
    /// Which low control the separation metrics use: `positive` or `blank`.
    #[serde(deserialize_with = "code::read")]
    pub low_control: Option<Code>,
    /// 1 - 3 (s_p + s_n) / |m_p - m_n| (Zhang 1999, doi 10.1177/108705719900400206).
    pub z_prime: Option<f64>,
    /// The same with medians and 1.4826 MAD.
    pub z_prime_robust: Option<f64>,
    /// Strictly standardised mean difference, (m_n - m_p) / sqrt(s_n² + s_p²) (Zhang 2007, doi 10.1016/j.ygeno.2007.01.002).
    pub ssmd: Option<f64>,
    /// The same with medians and 1.4826 MAD.
    pub ssmd_robust: Option<f64>,
    /// (m_n - m_p) / s_p, raw signal.
    pub signal_to_noise: Option<f64>,
    /// s / m of the vehicle wells' raw signal.
    pub cv_vehicle: Option<f64>,
    /// Mean vehicle over mean low control, raw signal.
    pub signal_to_background: Option<f64>,
    /// Mean outer-ring over mean inner vehicle signal, minus 1.
    pub edge_effect: Option<f64>,
    /// What the responses say of rows, columns and the edge, viability of an untreated well as the unit.
    pub spatial: Spatial,
    /// Root mean square of the residuals of single drugs about their own falling curves on this plate, each over the
    /// square root of its fitted viability and corrected for the freedom of the fit: the noise of the samples themselves, as
    /// a share of an untreated well. Idea of the normalised residual fit error (Ianevski 2025, doi 10.1016/j.isci.2025.113470).
    pub residual_error: Option<f64>,
    /// Pearson correlation of the plate's samples with the same treatments on other plates.
    pub replicate_correlation: Option<f64>,
    /// Wells flagged for themselves, controls included.
    pub n_flagged: usize,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, and why a value is missing, as codes joined by `;`; empty for a good plate with every value.
    pub reason: String,
}

impl PlateQuality {
    /// Notes a reason that makes the plate at best `verdict`.
    pub(super) fn at_best(&mut self, verdict: Verdict, reason: &str) {
        self.verdict = self.verdict.worse(verdict);
        self.note(reason);
    }

    /// Notes a code once.
    pub(super) fn note(&mut self, reason: &str) {
        if !self.reason.split(';').any(|known| known == reason) {
            if !self.reason.is_empty() {
                self.reason.push(';');
            }
            self.reason.push_str(reason);
        }
    }
}

/// The wells of one plate (of one cell line), side by side.
#[derive(Debug, Clone, Copy)]
pub struct PlateWells<'a> {
    /// The plate.
    pub plate: NameId,
    /// The cell line, if there is one.
    pub line: Option<NameId>,
    /// Raw signal of each well.
    pub signal: &'a [f64],
    /// What each well is.
    pub class: &'a [WellClass],
    /// Where each well lies, as far as it is known.
    pub place: &'a [Place],
    /// Rows and columns of the plate (see [`edge::format`]).
    pub format: (u16, u16),
    /// Wells of the whole plate that are there to be used, other lines' included.
    pub n_on_plate: usize,
    /// Wells of the whole plate that were set aside for a fault of theirs.
    pub n_set_aside: usize,
}

/// Verdict and reasons as they gather.
struct Judgement {
    verdict: Verdict,
    reasons: Vec<&'static str>,
}

impl Judgement {
    /// Notes a reason that makes the plate at best `verdict`.
    fn at_best(&mut self, verdict: Verdict, reason: &'static str) {
        self.verdict = self.verdict.worse(verdict);
        self.note(reason);
    }

    /// Notes why a value is missing.
    fn note(&mut self, reason: &'static str) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

/// Judges one plate.
///
/// All metrics are of raw signals: Z' and SSMD are the same with and without the background subtracted. Reasons:
///
/// - unusable: those of [`obstacle`]; `controls_reversed` (vehicle wells clearly below the positive controls);
/// - bad: `z_prime_negative`, `cv_vehicle_very_high`, `vehicle_equals_low_control`, `vehicle_below_positive`;
/// - marginal: `z_prime_marginal`, `cv_vehicle_high`, `edge_effect_high`, `one_vehicle_well`, `few_vehicle_wells`,
///   `few_low_control_wells`, `identical_vehicle_wells`, `repeated_wells`, `many_wells_set_aside`;
/// - not judged: `no_low_control`, `one_low_control_well`;
/// - only a value missing: `low_control_mean_not_above_0`, `controls_without_spread` (SSMD), `vehicle_mad_0` (robust
///   Z'), `edge_not_measured`. The reasons above account for the others.
pub fn judge(settings: PlateSettings, wells: PlateWells) -> PlateQuality {
    let of = |class: WellClass| -> Vec<f64> {
        wells.signal.iter().zip(wells.class).filter(|(_, c)| **c == class).map(|(s, _)| *s).collect()
    };
    let means = controls(wells.signal, wells.class);
    let (mut vehicle, mut low) = (of(WellClass::Vehicle), Vec::new());
    let blanks_first = settings.low_control_blank || means.n_positive == 0;
    let low_control = match (means.n_positive, means.n_blank) {
        (0, 0) => None,
        (_, 1..) if blanks_first => Some("blank"),
        (_, _) => Some("positive"),
    };
    if let Some(name) = low_control {
        low = of(if name == "blank" { WellClass::Blank } else { WellClass::Positive });
    }

    let mut found = Judgement { verdict: Verdict::Good, reasons: Vec::new() };
    let mut quality = PlateQuality {
        background: means.background,
        vehicle_mean: means.vehicle_mean.map(|m| m - means.background),
        low_control,
        ..unjudged(&wells)
    };
    if let Some(obstacle) = obstacle(settings.normalization, &means) {
        found.at_best(Verdict::Unusable, obstacle.reason);
    }
    if !(vehicle.is_empty() && settings.normalization.is_score()) {
        vehicle_alone(&vehicle, &mut quality, &mut found);
    }
    positives(&vehicle, &of(WellClass::Positive), &mut found);
    match low_control {
        None => found.at_best(Verdict::NotJudged, "no_low_control"),
        Some(_) => separation(&mut vehicle, &mut low, &mut quality, &mut found),
    }
    quality.edge_effect = edge::effect(&wells);
    match quality.edge_effect {
        Some(effect) if effect.abs() > EDGE_EFFECT_GOOD => found.at_best(Verdict::Marginal, "edge_effect_high"),
        Some(_) => {}
        None => found.note("edge_not_measured"),
    }
    layout(&wells, &mut found);
    quality.verdict = found.verdict;
    quality.reason = found.reasons.join(";");
    quality
}

/// The reason for a plate whose vehicle wells read clearly below its positive controls.
pub const CONTROLS_REVERSED: &str = "controls_reversed";

/// Positive controls should read below the vehicle. Where they read above it, with the three-sigma bands apart, no
/// noise did that: the roles are swapped, or the signal is high for dead cells, and no viability from this plate would
/// be one.
fn positives(vehicle: &[f64], positive: &[f64], found: &mut Judgement) {
    let (Some(vehicle), Some(positive)) = (moments(vehicle), moments(positive)) else { return };
    if !clearly_above(positive.mean, vehicle.mean) {
        return;
    }
    match (vehicle.sd, positive.sd) {
        (Some(sd), Some(sd_positive)) if positive.mean - vehicle.mean > 3.0 * (sd + sd_positive) => {
            found.at_best(Verdict::Unusable, CONTROLS_REVERSED);
        }
        _ => found.at_best(Verdict::Bad, "vehicle_below_positive"),
    }
}

/// What the vehicle wells say without any other control.
fn vehicle_alone(vehicle: &[f64], quality: &mut PlateQuality, found: &mut Judgement) {
    match moments(vehicle) {
        None => found.at_best(Verdict::Unusable, "no_vehicle_wells"),
        Some(Moments { sd: None, .. }) => found.at_best(Verdict::Marginal, "one_vehicle_well"),
        Some(Moments { n, mean, sd: Some(sd) }) => {
            if n < CONTROL_WELLS_GOOD {
                found.at_best(Verdict::Marginal, "few_vehicle_wells");
            }
            if sd == 0.0 {
                // A saturated or broken reader, or numbers that were typed in.
                found.at_best(Verdict::Marginal, "identical_vehicle_wells");
            }
            // At a mean of 0 or below the plate is unusable, and its reason says so.
            quality.cv_vehicle = (mean > 0.0).then(|| sd / mean).filter(|cv| cv.is_finite());
            match quality.cv_vehicle {
                Some(cv) if cv > CV_VEHICLE_USABLE => found.at_best(Verdict::Bad, "cv_vehicle_very_high"),
                Some(cv) if cv > CV_VEHICLE_GOOD => found.at_best(Verdict::Marginal, "cv_vehicle_high"),
                _ => {}
            }
        }
    }
}

/// How far the vehicle lies above the low control.
fn separation(vehicle: &mut [f64], low: &mut [f64], quality: &mut PlateQuality, found: &mut Judgement) {
    let (Some(high), Some(bottom)) = (moments(vehicle), moments(low)) else { return };
    if bottom.mean > 0.0 {
        quality.signal_to_background = Some(high.mean / bottom.mean).filter(|r| r.is_finite());
    }
    if quality.signal_to_background.is_none() {
        found.note("low_control_mean_not_above_0");
    }
    if !clearly_above(high.mean, bottom.mean) && !clearly_above(bottom.mean, high.mean) {
        found.at_best(Verdict::Bad, "vehicle_equals_low_control");
        return;
    }
    match bottom.sd {
        None => found.at_best(Verdict::NotJudged, "one_low_control_well"),
        Some(_) if bottom.n < CONTROL_WELLS_GOOD => found.at_best(Verdict::Marginal, "few_low_control_wells"),
        Some(_) => {}
    }
    let (Some(sd_high), Some(sd_low)) = (high.sd, bottom.sd) else { return };
    let difference = high.mean - bottom.mean;
    let z_prime = 1.0 - 3.0 * (sd_high + sd_low) / difference.abs();
    quality.z_prime = Some(z_prime).filter(|z| z.is_finite());
    match z_prime {
        z if z < Z_PRIME_USABLE => found.at_best(Verdict::Bad, "z_prime_negative"),
        z if z < Z_PRIME_GOOD => found.at_best(Verdict::Marginal, "z_prime_marginal"),
        _ => {}
    }
    quality.signal_to_noise = (sd_low > 0.0).then(|| difference / sd_low).filter(|r| r.is_finite());
    let spread = (sd_high * sd_high + sd_low * sd_low).sqrt();
    if spread > 0.0 {
        quality.ssmd = Some(difference / spread).filter(|s| s.is_finite());
    } else {
        found.note("controls_without_spread");
    }
    let (Some((middle_high, mad_high)), Some((middle_low, mad_low))) = (median_and_mad(vehicle), median_and_mad(low))
    else {
        return;
    };
    if mad_high == 0.0 {
        // More than half of the vehicle wells read the same: their spread is not known, and 0 would flatter. Low
        // controls may: a reader's counts near zero are coarse.
        found.note("vehicle_mad_0");
    } else if !clearly_above(middle_high, middle_low) && !clearly_above(middle_low, middle_high) {
        found.at_best(Verdict::Bad, "vehicle_equals_low_control");
    } else {
        let robust = 1.0 - 3.0 * (mad_high + mad_low) / (middle_high - middle_low).abs();
        quality.z_prime_robust = Some(robust).filter(|z| z.is_finite());
        let spread = (mad_high * mad_high + mad_low * mad_low).sqrt();
        quality.ssmd_robust = Some((middle_high - middle_low) / spread).filter(|s| s.is_finite());
    }
}

/// What the plate's wells say of the plate, apart from their signal.
fn layout(wells: &PlateWells, found: &mut Judgement) {
    let known = |place: &&Place| **place != Place::default();
    let is_repeated = !wells.place.iter().filter(known).is_sorted_by(|a, b| a < b) && {
        let mut places: Vec<Place> = wells.place.iter().filter(known).copied().collect();
        places.sort_unstable();
        places.windows(2).any(|pair| pair[0] == pair[1])
    };
    if is_repeated {
        // Two plates under one name, most likely: their controls would be one crowd.
        found.at_best(Verdict::Marginal, "repeated_wells");
    }
    let all = wells.n_on_plate + wells.n_set_aside;
    if wells.n_set_aside as f64 > SET_ASIDE_GOOD * all as f64 {
        found.at_best(Verdict::Marginal, "many_wells_set_aside");
    }
}

/// An entry with the wells counted and nothing else.
fn unjudged(wells: &PlateWells) -> PlateQuality {
    let count = |class: WellClass| wells.class.iter().filter(|c| **c == class).count();
    PlateQuality {
        plate: wells.plate,
        batch: None,
        replicate: None,
        line: wells.line,
        n_wells: wells.signal.len(),
        n_vehicle: count(WellClass::Vehicle),
        n_positive: count(WellClass::Positive),
        n_blank: count(WellClass::Blank),
        n_set_aside: wells.n_set_aside,
        background: 0.0,
        vehicle_mean: None,
        low_control: None,
        z_prime: None,
        z_prime_robust: None,
        ssmd: None,
        ssmd_robust: None,
        signal_to_noise: None,
        cv_vehicle: None,
        signal_to_background: None,
        edge_effect: None,
        spatial: Spatial::default(),
        residual_error: None,
        replicate_correlation: None,
        n_flagged: 0,
        verdict: Verdict::NotJudged,
        reason: String::new(),
    }
}

/// The entry of a plate whose wells arrived as viabilities: nothing but its wells can be counted.
pub fn already_normalised(wells: PlateWells) -> PlateQuality {
    PlateQuality { reason: "already_normalised".to_owned(), ..unjudged(&wells) }
}

/// The entry of a plate none of whose wells could be read.
pub fn without_wells(plate: NameId, n_set_aside: usize) -> PlateQuality {
    let wells = PlateWells {
        plate,
        line: None,
        signal: &[],
        class: &[],
        place: &[],
        format: edge::format([]),
        n_on_plate: 0,
        n_set_aside,
    };
    PlateQuality { verdict: Verdict::Unusable, reason: "no_wells".to_owned(), ..unjudged(&wells) }
}
