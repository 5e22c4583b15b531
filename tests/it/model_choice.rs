//! The model that each curve calls for, against simulated truth and the criterion by hand.

use crate::inference::curve;
use isobole::backend::cpu::Cpu;
use isobole::fit::FitSettings;
use isobole::fit::model_choice::{ModelChoice, USUAL, aicc, choose_models, parse_set};
use isobole::math::random::standard_normal;
use isobole::model::ModelId;
use isobole::screen::dose_matrix::{Curve, CurveKey};

const KEY: CurveKey = CurveKey { line: 0, drug: 0, schedule: None };

/// Ten doses in duplicate and two untreated wells of a true curve.
fn simulated(model: ModelId, parameters: &[f64], noise: f64, number: u32) -> Curve {
    let doses = (0..10).map(|k| 10f64.powf(-9.0 + 0.5 * f64::from(k)));
    let wells: Vec<(f64, f64)> = std::iter::once(0.0)
        .chain(doses)
        .flat_map(|dose| [dose; 2])
        .zip(0..)
        .map(|(dose, place)| (dose, model.response(dose, parameters) + noise * standard_normal(5, 1, number, place)))
        .collect();
    curve(KEY, &wells)
}

fn settings(set: &[ModelId]) -> Vec<FitSettings> {
    set.iter().map(|model| FitSettings::new(*model)).collect()
}

fn choose(curves: &[Curve], set: &[ModelId]) -> Vec<ModelChoice> {
    choose_models(curves, &settings(set), &Cpu).unwrap()
}

#[test]
fn the_criterion_is_the_one_worked_out_by_hand() {
    // 12 wells, 3 parameters and the variance: 12 ln(0.06 / 12) + 2 * 4 + 2 * 4 * 5 / (12 - 4 - 1).
    let value = aicc(0.06, 12, 3).unwrap();
    assert!((value - (12.0 * 0.005f64.ln() + 8.0 + 40.0 / 7.0)).abs() < 1e-12, "{value}");
    assert!((value + 49.865_5).abs() < 1e-3, "{value}");
    assert!((value - (12.0 * 0.005f64.ln() + 8.0)).abs() > 5.0, "the uncorrected criterion would be seen");
    assert_eq!(aicc(0.06, 5, 3), None, "the correction has no meaning at n = k + 1");
    assert_eq!(aicc(0.0, 12, 3), None);
}

#[test]
fn the_true_model_is_chosen_where_the_data_show_it() {
    let ln = |dose: f64| dose.ln();
    let truths: [(ModelId, Vec<f64>); 5] = [
        (ModelId::Flat, vec![0.98]),
        (ModelId::Hill2, vec![ln(1e-7), 1.4]),
        (ModelId::Hill3, vec![0.35, ln(1e-7), 1.4]),
        (ModelId::Hill4, vec![0.75, 0.2, ln(1e-7), 1.4]),
        (ModelId::Biphasic, vec![1.0, 0.45, 0.5, ln(6e-9), ln(3e-6), 1.8, 1.8]),
    ];
    for (model, parameters) in truths {
        let curves: Vec<Curve> = (0..60).map(|i| simulated(model, &parameters, 0.03, i)).collect();
        let chosen = choose(&curves, &USUAL);
        let right = chosen.iter().filter(|c| c.model == model).count();
        println!("{}: {right} of 60", model.name());
        assert!(right >= 42, "{}: {right} of 60", model.name());
        for choice in &chosen {
            let weight = choice.akaike_weight.unwrap();
            assert!(weight > 0.2 - 1e-12 && weight <= 1.0, "the best of five has a fifth at least: {choice:?}");
            assert!(choice.reason.is_none() && choice.inference.p_value.is_none());
        }
        // The comparison can fail: without the true model in the set, none is right.
        let rest: Vec<ModelId> = USUAL.into_iter().filter(|m| *m != model).collect();
        assert!(choose(&curves[..5], &rest).iter().all(|c| c.model != model));
    }
}

#[test]
fn weights_are_those_of_the_criteria() {
    let curves = [simulated(ModelId::Hill4, &[0.95, 0.1, (1e-7f64).ln(), 1.0], 0.05, 3)];
    let set = [ModelId::Hill3, ModelId::Hill4];
    let both = &choose(&curves, &set)[0];
    let alone = set.map(|m| choose(&curves, &[m])[0].aicc.unwrap());
    let best = alone[0].min(alone[1]);
    assert_eq!(both.aicc, Some(best));
    let other = alone[0].max(alone[1]);
    assert!((both.akaike_weight.unwrap() - 1.0 / (1.0 + (-0.5 * (other - best)).exp())).abs() < 1e-12);
}

#[test]
fn ties_few_wells_and_unfair_comparisons_are_settled() {
    let few = curve(KEY, &[(1e-8, 1.0), (1e-7, 0.8), (1e-6, 0.3), (1e-5, 0.1)]);
    let constant = simulated(ModelId::Flat, &[1.0], 0.0, 0);
    let broken = curve(KEY, &[(1e-8, f64::NAN), (1e-7, 0.8), (1e-6, 0.3), (1e-5, 0.1)]);
    let empty = Curve { key: KEY, points: vec![] };
    let line: Vec<(f64, f64)> =
        (0..10).map(|k| (10f64.powf(-9.0 + 0.5 * f64::from(k)), 1.0 - 0.08 * f64::from(k))).collect();
    let with_untreated: Vec<(f64, f64)> = line.iter().copied().chain([(0.0, 1.0)]).collect();
    let curves = [few, constant, broken, empty, curve(KEY, &line), curve(KEY, &with_untreated)];
    let chosen = choose(&curves, &USUAL);
    assert_eq!(chosen.len(), curves.len());
    // Four wells have a criterion for one parameter alone.
    assert_eq!((chosen[0].model, chosen[0].aicc.is_some()), (ModelId::Flat, true));
    assert_eq!(chosen[1].model, ModelId::Flat, "of models that are all exact the simplest: {:?}", chosen[1]);
    for i in [2, 3] {
        assert!(!chosen[i].fit.status.is_fitted() && chosen[i].reason.is_some() && chosen[i].aicc.is_none());
    }
    // Without a criterion: the simplest that could be fitted.
    let small = &choose(&curves[..1], &[ModelId::Hill4, ModelId::Hill3])[0];
    assert_eq!((small.model, small.reason, small.akaike_weight), (ModelId::Hill3, Some("too_few_wells"), None));
    // A straight line is one, but not where it would leave wells out.
    let with_line = [ModelId::LogLinear, ModelId::Hill3, ModelId::Hill4];
    let straight = choose(&curves[4..], &with_line);
    assert_eq!(straight[0].model, ModelId::LogLinear);
    assert_ne!(straight[1].model, ModelId::LogLinear);
    assert!(choose_models(&curves, &[], &Cpu).is_err());
}

#[test]
fn sets_are_read() {
    assert_eq!(parse_set("auto").unwrap(), Some(USUAL.to_vec()));
    let three = vec![ModelId::Hill3, ModelId::Hill4, ModelId::Biphasic];
    assert_eq!(parse_set("auto:hill3, Hill4,biphasic").unwrap(), Some(three));
    assert_eq!(parse_set("hill4").unwrap(), None);
    for (text, problem) in [
        ("auto:hill3,hil4", "unknown model `hil4`"),
        ("auto:hill3,hill3", "`hill3` is named twice"),
        ("auto:hill3", "nothing to choose from"),
        ("auto:", "unknown model ``"),
    ] {
        let message = parse_set(text).unwrap_err().to_string();
        assert!(message.contains(problem), "{text}: {message}");
    }
}
