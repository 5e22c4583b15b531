//! A screen that is small enough to be ranked by hand, with its truth.

use isobole::rank::composite::RankBy;
use isobole::rank::{RankInput, RankSettings, RankedPair, Ranking, rank};
use isobole::resistance::Resistance;
use isobole::resistance::potency::{LogRatio, Potency};
use isobole::resistance::rescue::Rescue;
use isobole::resistance::resensitisation::{Alpha, Resensitisation};
use isobole::screen::Screen;
use isobole::screen::dose_matrix::MatrixKey;
use isobole::screen::line::{LineAnnotation, LineStatus};
use isobole::screen::triple_matrix::TripleKey;
use isobole::synergy::three::TripleMatrixScore;
use isobole::synergy::{MatrixScore, Score};

/// A screen of clofarabine with four partners, one pair without it, in two resistant lines and their parent. `order`
/// is the order in which names and matrices turn up.
pub struct Scene {
    pub screen: Screen,
    pub scores: Vec<MatrixScore>,
    pub resistances: Vec<Resistance>,
    pub resensitised: Vec<Resensitisation>,
    pub settings: RankSettings,
}

const TRUTH: [(&str, &str, [Option<f64>; 3]); 6] = [
    // (drug a, drug b, scores in the parent and the two resistant lines)
    ("clofarabine", "venetoclax", [Some(0.02), Some(0.20), Some(0.22)]),
    ("clofarabine", "idarubicin", [Some(0.12), Some(0.12), Some(0.12)]),
    ("clofarabine", "inert", [Some(0.00), Some(0.01), Some(-0.01)]),
    ("clofarabine", "parental friend", [Some(0.15), Some(0.00), Some(0.01)]),
    ("bortezomib", "selinexor", [Some(0.05), Some(0.06), Some(0.09)]),
    ("clofarabine", "unscored", [Some(0.10), None, None]),
];

/// A row with this fold change (log10) at this partner dose, and twice that as dose-reduction index.
fn resensitised_row(key: MatrixKey, partner_dose: f64, log10_fold: f64, rescue: Option<f64>) -> Resensitisation {
    let ratio = |log10: f64| LogRatio { log10: Some(log10), ..LogRatio::default() };
    Resensitisation {
        key,
        partner_dose,
        second_partner: None,
        partner_viability: Some(0.9),
        alone: Potency::Unknown("test"),
        with_partner: Potency::Unknown("test"),
        half_viability: Potency::Unknown("test"),
        fold_change: ratio(log10_fold),
        dose_reduction_index: ratio(2.0 * log10_fold),
        fold_resistance: LogRatio::default(),
        rescue: Rescue { fraction: rescue, ..Rescue::default() },
        equivalence: None,
        alpha: Alpha::default(),
        is_ranked: true,
    }
}

pub fn scene(reversed: bool, with_resistant: bool) -> Scene {
    let mut screen = Screen::default();
    let mut lines = vec!["HL-60", "R20", "R80"];
    let mut truth = TRUTH.to_vec();
    if reversed {
        lines.reverse();
        truth.reverse();
    }
    for line in &lines {
        screen.lines.intern(line);
    }
    for (a, b, _) in &truth {
        screen.drugs.intern(b);
        screen.drugs.intern(a);
    }
    let line = |name: &str| screen.lines.id(name).expect("line");
    let drug = |name: &str| screen.drugs.id(name).expect("drug");
    let mut annotations = vec![LineAnnotation::default(); 3];
    if with_resistant {
        for name in ["R20", "R80"] {
            annotations[line(name) as usize] = LineAnnotation {
                parental: Some(line("HL-60")),
                status: Some(LineStatus::Resistant),
                mechanism: Some(if name == "R20" { "loss of dCK" } else { "BCL-2 up" }.to_owned()),
                doubling_time_h: None,
            };
        }
    }
    let (mut scores, mut resensitised) = (Vec::new(), Vec::new());
    for (a, b, values) in &truth {
        for name in &lines {
            let column = ["HL-60", "R20", "R80"].iter().position(|l| l == name).expect("a line");
            let score = Score {
                score: values[column],
                standard_error: values[column].map(|_| 0.02),
                reason: values[column].is_none().then_some("few_cells"),
                ..Score::default()
            };
            let key = MatrixKey { block: None, line: line(name), drug_a: drug(a), drug_b: drug(b), schedule: None };
            scores.push(MatrixScore {
                n_cells: 100,
                n_wells: if *name == "R80" { 200 } else { 100 },
                scores: vec![Score::default(), score],
                efficacy: Some(0.7 + values[column].unwrap_or(0.0)),
                qc_burden: Some(if *name == "R80" { 0.5 } else { 0.0 }),
                ..MatrixScore::unscored(key)
            });
            // Two doses, of which the second speaks: the anchor ten times as potent, of a 100-fold resistance.
            resensitised.extend([(1e-7, 4.0, false), (1e-6, 10.0, true)].map(|(dose, fold, is_ranked)| {
                let log10 = f64::log10(fold);
                Resensitisation { is_ranked, ..resensitised_row(key, dose, log10, Some(0.5 * log10)) }
            }));
        }
    }
    let anchor = drug("clofarabine");
    let resistance = |name: &str| Resistance {
        line: line(name),
        drug: anchor,
        log10_ic50: Some(-6.0),
        log10_ic50_se: Some(0.05),
        ic50_censored: "none",
        parental: Some(line("HL-60")),
        fold_resistance: Some(100.0),
        ci_low: Some(60.0),
        ci_high: Some(160.0),
        status: Some(LineStatus::Resistant),
        status_source: "annotated",
        reason: None,
        ..Resistance::unknown(line(name), anchor, "test")
    };
    let resistances = if with_resistant { vec![resistance("R20"), resistance("R80")] } else { vec![] };
    let settings = RankSettings {
        model: 1,
        by: RankBy::Score,
        top_k: 1,
        anchor: Some(anchor),
        seed: 1,
        draws: RankSettings::DRAWS,
        ..RankSettings::default()
    };
    screen.annotations = annotations;
    Scene { screen, scores, resistances, resensitised, settings }
}

impl Scene {
    pub fn rank(&self) -> Vec<RankedPair> {
        self.ranking().pairs
    }

    pub fn ranking(&self) -> Ranking {
        self.with_triples(&[])
    }

    pub fn with_triples(&self, triples: &[(TripleKey, &TripleMatrixScore)]) -> Ranking {
        let input = RankInput {
            scores: &self.scores.iter().collect::<Vec<_>>(),
            triples,
            resistances: &self.resistances,
            resensitised: &self.resensitised,
            screen: &self.screen,
        };
        rank(&input, &self.settings)
    }
}
