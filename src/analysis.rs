//! The flow: a screen as read goes in, every result comes out. Nothing here touches a file.

mod fitted_curves;

pub use fitted_curves::{FittedCurves, curve_set, fit_settings};

use crate::Result;
use crate::apoptosis::synergy::{ApoptosisSynergy, synergy as apoptosis_synergy};
use crate::apoptosis::viability::viability_of;
use crate::apoptosis::{ApoptosisSample, correct};
use crate::backend::Backend;
use crate::config::Settings;
use crate::fit::inference::{Inference, Intervals};
use crate::fit::{Fit, Refit};
use crate::plate::spatial_correction::SpatialOutcome;
use crate::plate::vehicle_noise::VehicleNoise;
use crate::plate::{self, BatchQuality, NormalisedWells, PlateCurve, PlateQuality, PlateStage, Verdict};
use crate::rank::by_mechanism::{MechanismRanking, rank_by_mechanism};
use crate::rank::confirmation::Confirmation;
use crate::rank::differential::Differential;
use crate::rank::schedule::ScheduleComparison;
use crate::rank::{self, RankInput, RankSettings, RankedPair};
use crate::resistance::cross_resistance::{CrossResistanceRow, cross_resistance};
use crate::resistance::mechanism::Mechanisms;
use crate::resistance::mechanism::of_screen::{annotated_screen, of_screen};
use crate::resistance::plausibility;
use crate::resistance::resensitisation::{Resensitisation, resensitisation};
use crate::resistance::{self, Resistance};
use crate::screen::dose_matrix::{Curve, DoseMatrix, gather};
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::screen::rejections::Rejections;
use crate::screen::triple_matrix::{TripleKey, TripleMatrix};
use crate::screen::{Orientation, Rejected, Screen};
use crate::synergy::bootstrap::{Resampling, add_intervals};
use crate::synergy::drawn::{Drawn, add_drawn, restricted};
use crate::synergy::draws::{ResamplingKind, wells_of};
use crate::synergy::flagged::{add_burden, add_triple_burden, add_unflagged, unflagged_matrices};
use crate::synergy::noise::triple_hash;
use crate::synergy::normalisation_error::normalisation_errors;
use crate::synergy::score::score_matrices;
use crate::synergy::summary::add_box_scores;
use crate::synergy::three::TripleMatrixScore;
use crate::synergy::three::bootstrap::add_triple_intervals;
use crate::synergy::three::score::score_triples;
use crate::synergy::{MatrixScore, SynergyModel};
use fitted_curves::fitted_curves;
use std::collections::{BTreeSet, HashSet};

/// A stage of the analysis, as progress and timings call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the input.
    Read,
    /// Quality control and normalisation.
    Plates,
    /// Gathering curves and matrices.
    Gather,
    /// Fitting single-agent curves.
    Curves,
    /// Scoring matrices.
    Synergy,
    /// Resampling matrices for intervals.
    Intervals,
    /// Calling resistance and ranking pairs.
    Rank,
    /// Writing tables and the report.
    Write,
}

impl Stage {
    /// The name used in progress and `run.json`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Plates => "plates",
            Stage::Gather => "gather",
            Stage::Curves => "curves",
            Stage::Synergy => "synergy",
            Stage::Intervals => "intervals",
            Stage::Rank => "rank",
            Stage::Write => "write",
        }
    }
}

/// Told when a stage begins, and on how much work.
pub type Observer<'a> = &'a mut dyn FnMut(Stage, &str);

/// Everything that a run finds out.
#[derive(Debug, Clone, Default)]
pub struct Analysis {
    /// Wells with a response.
    pub wells: NormalisedWells,
    /// Quality of every plate.
    pub plates: Vec<PlateQuality>,
    /// Quality of each batch, and of the screen.
    pub batches: Vec<BatchQuality>,
    /// Drugs that are alone on several plates, plate by plate.
    pub plate_curves: Vec<PlateCurve>,
    /// Noise of each plate's vehicle mean, and the weight that follows.
    pub vehicle_noise: Vec<VehicleNoise>,
    /// What was done about position on each plate.
    pub spatial: Vec<SpatialOutcome>,
    /// Wells left out by any stage, each with its reason.
    pub rejected: Rejections,
    /// Single-agent curves.
    pub curves: Vec<Curve>,
    /// Their fits.
    pub fits: Vec<Fit>,
    /// What the fits are worth.
    pub inferences: Vec<Inference>,
    /// Confidence intervals of their parameters: as many as curves, or none.
    pub intervals: Vec<Intervals>,
    /// Dose matrices.
    pub matrices: Vec<DoseMatrix>,
    /// Their scores.
    pub scores: Vec<MatrixScore>,
    /// What names each matrix of three drugs.
    pub triple_keys: Vec<TripleKey>,
    /// Matrices of three drugs.
    pub triples: Vec<TripleMatrix>,
    /// Their scores.
    pub triple_scores: Vec<TripleMatrixScore>,
    /// Resistance of each line to each drug.
    pub resistances: Vec<Resistance>,
    /// What else the resistant lines resist.
    pub cross_resistances: Vec<CrossResistanceRow>,
    /// What each dose of a partner does to the anchor's potency.
    pub resensitisations: Vec<Resensitisation>,
    /// Why lines are resistant, and the evidence.
    pub mechanisms: Mechanisms,
    /// Annexin V / PI samples, corrected for vehicle.
    pub apoptosis: Vec<ApoptosisSample>,
    /// Synergy in them.
    pub apoptosis_synergy: Vec<ApoptosisSynergy>,
    /// The ranking.
    pub pairs: Vec<RankedPair>,
    /// Each pair in each resistant line, against its parent.
    pub differentials: Vec<Differential>,
    /// The same for each mechanism of resistance.
    pub pairs_by_mechanism: Vec<MechanismRanking>,
    /// The anchor drug, if the screen has it.
    pub anchor: Option<NameId>,
    /// Combinations that were tested in several schedules.
    pub schedules: Vec<ScheduleComparison>,
    /// The next experiment for the best pairs.
    pub confirmations: Vec<Confirmation>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Analysis {
    /// Share of the fits of curves and surfaces that a certificate in f64 changed; `None` where no GPU fitted.
    pub fn refitted_share(&self, backend: &dyn Backend) -> Option<f64> {
        let surfaces = self.scores.iter().flat_map(|score| score.interactions.iter().map(|surface| &surface.fit));
        let all = self.fits.iter().chain(surfaces);
        let fitted = all.clone().filter(|f| f.status.is_fitted()).count();
        let changed = all.filter(|f| f.refit != Refit::None).count();
        (backend.name() != "cpu" && fitted > 0).then(|| changed as f64 / fitted as f64)
    }
}

/// Scatter of the pairs' scores over their standard errors from which the user is told.
const WIDE_SCATTER: f64 = 1.25;

/// What an earlier analysis of the same screen found and this one need not find again; all of it must be what this one
/// would find.
#[derive(Default)]
pub struct Reuse<'a> {
    /// Wells and plates; fields of later stages are not looked at.
    pub plates: Option<Analysis>,
    /// The fitted curves.
    pub curves: Option<FittedCurves>,
    /// What was drawn of these matrices.
    #[allow(clippy::type_complexity, reason = "one closure, named nowhere else")]
    pub drawn: Option<&'a (dyn Fn(&[DoseMatrix]) -> Result<Drawn> + Sync)>,
}

/// The plate stage alone: the input's own rejects come first.
///
/// # Errors
/// Those of the back end.
pub fn normalise(screen: &Screen, settings: &Settings, backend: &dyn Backend) -> Result<Analysis> {
    let PlateStage { wells, plates, batches, plate_curves, rejected, vehicle_noise, spatial } =
        plate::run(screen, settings.into(), backend)?;
    let mut all_rejected = screen.rejected.clone();
    all_rejected.append(&rejected);
    let mut analysis = Analysis {
        wells,
        plates,
        batches,
        plate_curves,
        vehicle_noise,
        spatial,
        rejected: all_rejected,
        ..Analysis::default()
    };
    warn_of_plates(&mut analysis, screen);
    Ok(analysis)
}

/// What the user should know of reading and of the plates.
fn warn_of_plates(analysis: &mut Analysis, screen: &Screen) {
    analysis.warnings.clone_from(&screen.warnings);
    let judged_bad = |verdict: Verdict| analysis.plates.iter().filter(|p| p.verdict == verdict).count();
    let (bad, unusable) = (judged_bad(Verdict::Bad), judged_bad(Verdict::Unusable));
    if screen.orientation == Orientation::Signal && screen.lines.is_empty() && !analysis.wells.is_empty() {
        analysis.warnings.push("no well names a cell line: all are taken as one line".into());
    }
    if bad + unusable > 0 {
        let of = analysis.plates.len();
        analysis.warnings.push(format!("{bad} of {of} plates are bad and {unusable} unusable: see `plates`"));
    }
    let misregistered = analysis.plate_curves.iter().filter(|c| c.steps_off != 0).count();
    if misregistered > 0 {
        let warning = format!("{misregistered} dilution series lie a step beside their label: see `plate_curves`");
        analysis.warnings.push(warning);
    }
}

/// Everything after reading.
///
/// # Errors
/// Those of the back end. Problems of single wells, curves and matrices are reason codes in the results.
pub fn analyse(screen: &Screen, settings: &Settings, backend: &dyn Backend, observe: Observer<'_>) -> Result<Analysis> {
    analyse_again(screen, settings, backend, Reuse::default(), observe)
}

/// The same, but for what is known.
///
/// # Errors
/// As [`analyse`]; [`crate::Error::Screen`] where what is known is not of this screen.
pub fn analyse_again(
    screen: &Screen,
    settings: &Settings,
    backend: &dyn Backend,
    known: Reuse<'_>,
    observe: Observer<'_>,
) -> Result<Analysis> {
    let mut analysis = match known.plates {
        Some(mut analysis) => {
            warn_of_plates(&mut analysis, screen);
            analysis
        }
        None => {
            observe(Stage::Plates, &format!("{} wells on {} plates", screen.wells.len(), screen.plates.len()));
            normalise(screen, settings, backend)?
        }
    };
    analysis.anchor = screen.drugs.id_ignoring_case(&settings.anchor);
    if analysis.anchor.is_none() {
        let warning = format!(
            "the anchor drug `{}` is not in this screen: no line can be called resistant by its IC50",
            settings.anchor
        );
        analysis.warnings.push(warning);
    }

    observe(Stage::Gather, "");
    let gathered = gather(&analysis.wells, screen, analysis.anchor, settings.vehicle_point);
    set_aside(&mut analysis, gathered.unused);
    analysis.curves = gathered.curves;
    analysis.matrices = gathered.matrices;
    (analysis.triple_keys, analysis.triples) = gathered.triples.into_iter().unzip();

    let fit = fit_settings(settings);
    let fitted = match known.curves {
        Some(fitted) => fitted.of(&analysis.curves)?,
        None => {
            observe(Stage::Curves, &format!("{} curves", analysis.curves.len()));
            fitted_curves(&analysis.curves, settings, &fit, backend)?
        }
    };
    (analysis.fits, analysis.inferences, analysis.intervals) = (fitted.fits, fitted.inferences, fitted.intervals);

    observe(Stage::Synergy, &format!("{} dose matrices", analysis.matrices.len()));
    let regather = |wells: &NormalisedWells| gather(wells, screen, analysis.anchor, settings.vehicle_point);
    let beside = || {
        let sound = match analysis.matrices.is_empty() {
            true => None,
            false => unflagged_matrices(&analysis.wells, regather),
        };
        (sound, known.drawn.map(|drawn| drawn(&analysis.matrices)).transpose())
    };
    let (scores, (sound, drawn)) =
        rayon::join(|| score_matrices(&analysis.matrices, &settings.synergy, settings.margins, &fit, backend), beside);
    analysis.scores = scores?;
    let drawn = drawn?.unwrap_or_default();
    for drug in settings.dose_limits.keys().filter(|drug| screen.drugs.id_ignoring_case(drug).is_none()) {
        analysis.warnings.push(format!("the dose limit of `{drug}` limits nothing: the screen has no such drug"));
    }
    if !settings.dose_limits.is_empty() {
        add_box_scores(&mut analysis.scores, |drug| settings.dose_limit(screen.drugs.name(drug)));
    }
    add_burden(&mut analysis.scores, &analysis.wells, &analysis.plates);
    let (models, margins) = (&settings.synergy, settings.margins);
    add_unflagged(&mut analysis.scores, &analysis.matrices, sound, models, margins, &fit, backend)?;
    // No model's draws depend on which others are asked for: only those of models that are new are made.
    let lacking = drawn.lacking(&settings.synergy);
    if !lacking.is_empty() {
        observe(Stage::Intervals, &format!("{} resamplings of each", settings.bootstrap));
        let all_lack = lacking.len() == settings.synergy.len();
        let mut fresh = match all_lack {
            true => std::mem::take(&mut analysis.scores),
            false => restricted(&analysis.scores, &settings.synergy, &lacking),
        };
        draw(&mut fresh, &analysis, &lacking, &[], screen, settings, backend)?;
        match all_lack {
            true => analysis.scores = fresh,
            false => add_drawn(&mut analysis.scores, &settings.synergy, &drawn, &fresh),
        }
    } else {
        add_drawn(&mut analysis.scores, &settings.synergy, &drawn, &[]);
    }

    analysis.triple_scores =
        score_triples(&analysis.triples, settings.synergy.contains(&SynergyModel::Musyc), &fit, backend)?;
    let units: Vec<u64> = analysis.triple_keys.iter().map(|key| triple_hash(key, screen)).collect();
    let (draws, seed) = (settings.bootstrap, settings.seed);
    add_triple_burden(&mut analysis.triple_scores, &analysis.triple_keys, &analysis.wells, &analysis.plates);
    add_triple_intervals(&mut analysis.triple_scores, &analysis.triples, &units, &fit, draws, seed, backend)?;

    observe(Stage::Rank, "");
    let anchor = analysis.anchor;
    analysis.resistances = resistance::call(
        &analysis.curves,
        &analysis.fits,
        &analysis.inferences,
        settings.model,
        screen,
        anchor,
        settings.resistant_fold,
    );
    analysis.warnings.extend(anchor.and_then(|anchor| plausibility::warning(&analysis.resistances, screen, anchor)));
    if let Some(anchor) = anchor.filter(|anchor| !analysis.curves.iter().any(|curve| curve.key.drug == *anchor)) {
        let name = screen.drugs.name(anchor);
        analysis.warnings.push(format!(
            "`{name}` was not given alone: no line can be called resistant to it, and its pairs have no expectation to exceed"
        ));
    }
    analysis.cross_resistances = cross_resistance(&analysis.resistances, screen, anchor, settings.resistant_fold);
    analysis.resensitisations = resensitisation(
        &analysis.matrices,
        &analysis.scores,
        &analysis.triple_keys.iter().copied().zip(&analysis.triples).collect::<Vec<_>>(),
        &analysis.resistances,
        anchor,
        backend,
    )?;
    analysis.mechanisms =
        of_screen(screen, anchor, &analysis.resistances, &analysis.cross_resistances, &analysis.resensitisations);
    analysis.warnings.extend(unknown_lines(screen));
    // The ranking speaks of what the lines' evidence says, and of what their owner says where there is none.
    let named = annotated_screen(screen, &analysis.mechanisms);
    analysis.apoptosis = correct(&screen.apoptosis);
    // Bliss is what apoptosis is scored by; a run without it is compared by the model that ranks.
    let compared =
        [SynergyModel::Bliss, settings.score_model].iter().find_map(|m| settings.synergy.iter().position(|s| s == m));
    let viability = viability_of(screen, &analysis.apoptosis, &analysis.scores, compared.unwrap_or(0));
    analysis.apoptosis_synergy = apoptosis_synergy(&analysis.apoptosis, &viability, &settings.anchor);
    // A drug with itself is a control of the method, not a pair to choose: it stays in `synergy`.
    let pairs: Vec<&MatrixScore> = analysis.scores.iter().filter(|s| s.key.drug_a != s.key.drug_b).collect();
    let triples: Vec<_> = analysis.triple_keys.iter().copied().zip(&analysis.triple_scores).collect();
    let rank_settings = RankSettings {
        model: position(&settings.synergy, settings.score_model),
        score_model: settings.score_model,
        by: settings.rank_by,
        weights: settings.rank_weights,
        gates: settings.rank_gates,
        top_k: settings.top_k,
        anchor,
        seed: settings.seed,
        draws: RankSettings::DRAWS,
    };
    let input = RankInput {
        scores: &pairs,
        triples: &triples,
        resistances: &analysis.resistances,
        resensitised: &analysis.resensitisations,
        screen: &named,
    };
    let (ranking, by_mechanism) = rayon::join(
        || rank::rank(&input, &rank_settings),
        || rank_by_mechanism(&analysis.mechanisms, &input, &rank_settings),
    );
    analysis.pairs_by_mechanism = by_mechanism;
    if ranking.error_scale > WIDE_SCATTER {
        analysis.warnings.push(format!(
            "scores of pairs scatter {:.2} times as widely as their standard errors say: errors were widened by that",
            ranking.error_scale
        ));
    }
    (analysis.pairs, analysis.differentials) = (ranking.pairs, ranking.differentials);
    analysis.schedules = ranking.schedules;
    let is_resistant = |line: NameId| {
        let of_anchor = |r: &&Resistance| Some(r.drug) == anchor && r.line == line;
        let called = analysis.resistances.iter().find(of_anchor).and_then(|r| r.status);
        called.or(screen.annotation(line).status) == Some(LineStatus::Resistant)
    };
    analysis.confirmations =
        rank::confirmation::confirmations(&analysis.pairs, &analysis.scores, &rank_settings, is_resistant, screen);
    if analysis.pairs.iter().any(|p| p.flags.split(';').any(|f| f == "no_resistant_line")) {
        analysis.warnings.push("no line is resistant to the anchor: pairs are ranked over all lines".into());
    }
    Ok(analysis)
}

/// Lines with evidence and without wells: most likely another spelling.
fn unknown_lines(screen: &Screen) -> Option<String> {
    let unknown: BTreeSet<&str> = screen
        .evidence
        .iter()
        .map(|row| row.line.as_str())
        .chain(screen.apoptosis.iter().map(|row| row.line.as_str()))
        .filter(|line| screen.lines.id_ignoring_case(line).is_none())
        .collect();
    let names = unknown.into_iter().collect::<Vec<_>>().join("`, `");
    (!names.is_empty())
        .then(|| format!("there is evidence or apoptosis on lines that are not in the screen: `{names}`"))
}

/// Fills what draws say of the analysis's matrices into `scores`, which are of these models; `only` as in
/// [`Resampling::only`].
///
/// # Errors
/// Those of the back end.
pub fn draw(
    scores: &mut [MatrixScore],
    analysis: &Analysis,
    models: &[SynergyModel],
    only: &[bool],
    screen: &Screen,
    settings: &Settings,
    backend: &dyn Backend,
) -> Result<()> {
    let matrices = &analysis.matrices;
    let wells = match settings.resampling {
        ResamplingKind::Replicates => wells_of(matrices, &analysis.wells),
        _ => Vec::new(),
    };
    let resampling = Resampling {
        draws: settings.bootstrap,
        seed: settings.seed,
        kind: settings.resampling,
        normalisation_errors: &normalisation_errors(matrices, &analysis.wells, &analysis.vehicle_noise, screen),
        only,
        wells: &wells,
    };
    let fit = fit_settings(settings);
    add_intervals(scores, matrices, screen, models, settings.margins, &fit, resampling, backend)
}

fn position(models: &[SynergyModel], model: SynergyModel) -> usize {
    models.iter().position(|m| *m == model).unwrap_or(0)
}

/// Takes wells that no later stage can use out of `wells`, so that used and rejected add up.
fn set_aside(analysis: &mut Analysis, unused: Vec<(usize, Rejected)>) {
    if unused.is_empty() {
        return;
    }
    let gone: HashSet<usize> = unused.iter().map(|(index, _)| *index).collect();
    let stay: Vec<u32> = (0..analysis.wells.len() as u32).filter(|index| !gone.contains(&(*index as usize))).collect();
    analysis.wells = analysis.wells.select(&stay);
    analysis.rejected.extend(unused.into_iter().map(|(_, rejected)| rejected));
}
